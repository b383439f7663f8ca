//! An endpoint with its handler, for the tests of a handler.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use tokio::{task::JoinHandle, time::sleep};

use super::{CallbackBuilder, Recording};
use crate::{
    CallbackService, Callbacks, Clock, Delivery, Event, Handler, HandlerError, MemoryStore,
    clock::ManualClock,
    event::Rank,
    store::{
        Inbox, Queue, State, Store, StoreError,
        inspect::{Inspect, Listing},
    },
};

/// For how long of real time a handler may be at work before [`Harness::settled`] gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the clock is turned at least, since the worker's pauses end by it too; and after how many
/// looks, where something is due and nobody takes it.
const STEP: Duration = Duration::from_secs(1);
const POLLS: u32 = 5;

const NAME: &str = "test";

/// A whole endpoint around a handler under test: front, store and worker, on a clock that is turned by
/// hand, so that two days of retries pass in milliseconds.
///
/// ```
/// # use tower_callback::{Delivery, HandlerError, MusicVideo};
/// # async fn keep(delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
/// #     if delivery.attempt() == 1 { return Err("the disk is full".into()) }
/// #     Ok(())
/// # }
/// use tower_callback::testing::{Harness, callback};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let test = Harness::handle(keep);
/// test.receive(callback("task-1")).await;
/// test.receive(callback("task-1")).await;
/// test.settled().await;
/// test.assert_handled_once("task-1");
/// # assert_eq!(test.attempts("task-1"), 2);
/// # }
/// ```
///
/// The worker is a task of the runtime that makes the harness, and ends with it.
pub struct Harness<S = MemoryStore> {
    endpoint: String,
    service: CallbackService,
    store: Recording<S>,
    log: Log,
    /// What each key that the handler was called for had come to, if nothing was received since.
    settled: Mutex<HashMap<String, State>>,
    worker: JoinHandle<()>,
}

impl Harness {
    /// Tests a function that handles.
    pub fn handle<E, F, Fut>(handle: F) -> Self
    where
        E: Event,
        F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::handler(Function(handle))
    }

    /// Tests a handler.
    pub fn handler<E: Event>(handler: impl Handler<E>) -> Self {
        Self::on(NAME, Callbacks::<E>::dangerous().unverified(NAME), handler)
    }

    /// Tests a handler with the proof and the settings of an endpoint of yours, whose name is told
    /// again. Its clock is the harness's.
    ///
    /// # Panics
    ///
    /// When a setting is wrong.
    pub fn on<E: Event>(
        name: impl Into<String>,
        endpoint: Callbacks<E>,
        handler: impl Handler<E>,
    ) -> Self {
        let clock = Clock::manual();
        Self::new(
            name.into(),
            endpoint,
            MemoryStore::with_clock(&clock),
            handler,
        )
    }

    /// The clock. Nothing but a test and [`settled`](Self::settled) turns it.
    pub fn clock(&self) -> &ManualClock {
        let clock = self.store.manual_clock();
        clock.expect("the store was made with it")
    }
}

impl<S: Inspect> Harness<S> {
    /// Tests a function that handles, on a store of yours: it may complete its lease in a transaction of
    /// your database, and what it left there can be looked at. Time is real there, so let it
    /// fail once or twice, and not for two days.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_callback::BoxError> {
    /// use tower_callback::{Delivery, MusicVideo, SqliteStore, testing::{Harness, callback}};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let store = SqliteStore::open(directory.path().join("callbacks.db")).await?;
    /// let test = Harness::with_store(store, async |_: Delivery<MusicVideo>| Ok(()));
    /// test.receive(callback("task-1")).await;
    /// test.settled().await;
    /// test.assert_handled_once("task-1");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub fn with_store<E, F, Fut>(store: S, handle: F) -> Self
    where
        E: Event,
        F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let endpoint = Callbacks::<E>::dangerous().unverified(NAME);
        Self::new(NAME.to_owned(), endpoint, store, Function(handle))
    }

    fn new<E: Event>(
        name: String,
        mut endpoint: Callbacks<E>,
        store: S,
        handler: impl Handler<E>,
    ) -> Self {
        if let Some(clock) = store.manual_clock() {
            endpoint = endpoint.clock(clock.clock());
        }
        let store = Recording::new(store);
        let log = Log::default();
        let watched = Watched {
            handler,
            log: log.clone(),
        };
        let (service, worker) = endpoint
            .store(store.clone())
            .handler(watched)
            .build()
            .unwrap_or_else(|error| panic!("the endpoint cannot be built: {error}"));
        Self {
            endpoint: name,
            service,
            store,
            log,
            settled: Mutex::default(),
            worker: tokio::spawn(worker.run()),
        }
    }

    /// Gives a callback to the front, and tells its answer.
    ///
    /// # Panics
    ///
    /// When it is no HTTP request.
    pub async fn receive(&self, callback: CallbackBuilder) -> Response<Bytes> {
        self.receive_at("/", callback).await
    }

    /// The same at a path or a URL, for a proof that stands there: a token as a segment, or a signed
    /// URL.
    ///
    /// # Panics
    ///
    /// When it is no HTTP request.
    pub async fn receive_at(&self, url: &str, callback: CallbackBuilder) -> Response<Bytes> {
        self.states().clear();
        callback.call(self.service.clone(), url).await
    }

    /// Waits until nothing is left to do: everything that was received is handled or given up. Where
    /// an event waits for its next attempt, the clock is turned if it is one that can be.
    ///
    /// # Panics
    ///
    /// When a handler is at work, or its next attempt is not due, for longer than 30 seconds of real
    /// time, and when the store fails.
    pub async fn settled(&self) {
        let queue = self.queue();
        let mut last = (0, Instant::now(), 0);
        loop {
            let (calls, running) = self.log.calls();
            let counts = asked(self.store.counts(&queue)).await;
            if counts.pending + counts.leased == 0 && running == 0 {
                break;
            }
            if last.0 != calls {
                last = (calls, Instant::now(), 0);
            }
            let (_, since, polls) = &mut last;
            assert!(since.elapsed() < PATIENCE, "nothing ends: {:?}", self.log);
            *polls += 1;
            if let Some(clock) = self.store.manual_clock()
                && counts.leased == 0
            {
                if counts.oldest_due.is_none() {
                    let first = Listing::all().with_limit(1);
                    let next = asked(self.store.list(&queue, &first)).await;
                    let due_in = next.records.first().and_then(|next| next.due_in);
                    clock.advance(due_in.unwrap_or_default().max(STEP));
                } else if *polls % POLLS == 0 {
                    clock.advance(STEP);
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
        for key in self.log.keys() {
            if let Some(state) = self.state(&key).await {
                self.states().insert(key, state);
            }
        }
    }

    /// How often the handler was called for a key.
    pub fn attempts(&self, key: &str) -> usize {
        self.log.of(key).len()
    }

    /// What a key has come to by now; `None` if nothing was received for it.
    ///
    /// # Panics
    ///
    /// When the store fails.
    pub async fn state(&self, key: &str) -> Option<State> {
        let found = asked(self.store.find(&self.queue(), key.as_bytes())).await;
        found.map(|found| found.state)
    }

    /// That the event was handled, and once, when all was [settled](Self::settled): the handler said
    /// `Ok` one time, after as many failed attempts as it took. (A failure, and the success that
    /// follows it, are two events of one key: each is handled once.)
    ///
    /// # Panics
    ///
    /// When it was not.
    #[track_caller]
    pub fn assert_handled_once(&self, key: &str) {
        let attempts = self.log.of(key);
        let mut handled: Vec<Rank> = attempts
            .iter()
            .filter(|attempt| attempt.outcome == Outcome::Handled)
            .map(|attempt| attempt.rank)
            .collect();
        let times = handled.len();
        handled.dedup();
        let state = self.states().get(key).copied();
        assert!(
            times > 0 && times == handled.len() && state == Some(State::Done),
            "{key:?} was handled {times} times, and is {state:?}: {attempts:?}",
        );
    }

    /// That the handler never said `Ok` to the event, and nothing more will come of it, when all was
    /// [settled](Self::settled): it is a dead letter.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn assert_given_up(&self, key: &str) {
        let state = self.states().get(key).copied();
        assert!(
            state == Some(State::Dead),
            "{key:?} is {state:?}: {:?}",
            self.log.of(key)
        );
    }

    /// The store, which tells what was inserted, and fails at will.
    pub fn store(&self) -> &Recording<S> {
        &self.store
    }

    /// The front, to be mounted where a test wants it.
    pub fn service(&self) -> &CallbackService {
        &self.service
    }

    fn queue(&self) -> Queue {
        Queue::events(self.endpoint.as_str())
    }

    fn states(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn asked<T>(answer: impl Future<Output = Result<T, StoreError>>) -> T {
    let answer = answer.await;
    answer.unwrap_or_else(|error| panic!("the store does not answer: {error}"))
}

impl<S> Drop for Harness<S> {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl<S> fmt::Debug for Harness<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("endpoint", &self.endpoint)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// One call of the handler.
#[derive(Clone, Debug)]
struct Attempt {
    key: String,
    rank: Rank,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It runs; or it panicked, or was dropped.
    Unknown,
    Handled,
    Failed(String),
}

/// What the handler was called for, in the order of the calls.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    attempts: Vec<Attempt>,
    running: usize,
}

impl Log {
    fn of(&self, key: &str) -> Vec<Attempt> {
        let calls = self.calls_mut();
        let ours = calls.attempts.iter().filter(|attempt| attempt.key == key);
        ours.cloned().collect()
    }

    fn keys(&self) -> HashSet<String> {
        let calls = self.calls_mut();
        calls.attempts.iter().map(|it| it.key.clone()).collect()
    }

    /// How many there were, and how many of them run.
    fn calls(&self) -> (usize, usize) {
        let calls = self.calls_mut();
        (calls.attempts.len(), calls.running)
    }

    fn calls_mut(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<E>(&self, delivery: &Delivery<E>) -> Call {
        let mut calls = self.calls_mut();
        calls.running += 1;
        calls.attempts.push(Attempt {
            key: delivery.key().to_owned(),
            rank: delivery.rank(),
            outcome: Outcome::Unknown,
        });
        Call {
            log: self.clone(),
            number: calls.attempts.len() - 1,
        }
    }
}

/// A call that runs, until it is dropped.
struct Call {
    log: Log,
    number: usize,
}

impl Call {
    fn ended(&self, outcome: &Result<(), HandlerError>) {
        self.log.calls_mut().attempts[self.number].outcome = match outcome {
            Ok(()) => Outcome::Handled,
            Err(error) => Outcome::Failed(format!("{error:?}")),
        };
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.log.calls_mut().running -= 1;
    }
}

/// A handler, and what becomes of each of its calls.
struct Watched<H> {
    handler: H,
    log: Log,
}

impl<E: Event, H: Handler<E>> Handler<E> for Watched<H> {
    async fn handle(&self, delivery: Delivery<E>) -> Result<(), HandlerError> {
        let call = self.log.begin(&delivery);
        let outcome = self.handler.handle(delivery).await;
        call.ended(&outcome);
        outcome
    }
}

/// A closure, as a handler.
struct Function<F>(F);

impl<E, F, Fut> Handler<E> for Function<F>
where
    E: Event,
    F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    async fn handle(&self, delivery: Delivery<E>) -> Result<(), HandlerError> {
        (self.0)(delivery).await
    }
}
