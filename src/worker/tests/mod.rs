//! Promises of the worker, on a clock that is turned by hand and a store whose faults are on call.

mod dropped;
mod handling;
mod leases;
mod probe;
mod records;
mod schedules;
mod services;
mod shutdown;
mod store_faults;
mod suspects;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use self::probe::Probe;
use super::{AnyHandler, Delivery, HandlerError, Worker, WorkerSettings};
use crate::{
    Callback, Event, EventKey,
    clock::{Clock, ManualClock},
    event::{InvalidKey, Meta, ParseError},
    liveness::{Life, Liveness},
    store::{
        Action, AnyStore, Found, Inbox, Inserted, MemoryStore, NewRecord, Queue, Retention, State,
        Store,
    },
    testing::capture::Capture,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The body is the event.
#[derive(Debug, PartialEq)]
struct Word(String);

impl Event for Word {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        match callback.body() {
            b"unreadable" => Err(ParseError::unprocessable("not a word any more")),
            b"panic" => panic!("parse"),
            body => Ok(Self(String::from_utf8_lossy(body).into_owned())),
        }
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new(&self.0)
    }
}

/// An endpoint's worker, its store and its clock.
struct Bench {
    hands: ManualClock,
    store: Arc<Probe>,
    queue: Queue,
    wake: Arc<Notify>,
    liveness: Liveness,
    settings: WorkerSettings,
}

/// A worker that runs.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self, bench: &Bench) {
        let _ = self.stop.send(());
        bench.turn_until(SECOND, || self.task.is_finished()).await;
        self.task.await.unwrap();
    }
}

impl Bench {
    fn new() -> Self {
        let hands = Clock::manual();
        Self {
            store: Arc::new(Probe::new(MemoryStore::with_clock(&hands))),
            hands,
            queue: Queue::events("words"),
            wake: Arc::default(),
            liveness: Liveness::new(),
            settings: WorkerSettings::default(),
        }
    }

    /// The same endpoint with another retention, and never run.
    fn with_retention(&self, retention: Retention) -> Self {
        let mut settings = self.settings;
        settings.retention = retention;
        Self {
            hands: self.hands.clone(),
            store: Arc::clone(&self.store),
            queue: self.queue.clone(),
            wake: Arc::clone(&self.wake),
            liveness: Liveness::new(),
            settings,
        }
    }

    fn worker(&self, handler: AnyHandler) -> Worker {
        Worker::new(
            self.queue.clone(),
            AnyStore::new(Arc::clone(&self.store)),
            self.hands.clock(),
            self.settings,
            handler,
            Arc::clone(&self.wake),
            self.liveness.clone(),
        )
    }

    fn run(&self, handler: AnyHandler) -> Running {
        spawn(self.worker(handler))
    }

    /// Runs `f` as the handler.
    fn handle<F, Fut>(&self, f: F) -> Running
    where
        F: Fn(Delivery<Word>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.run(AnyHandler::from_fn(f))
    }

    async fn insert(&self, word: &str) -> Inserted {
        self.insert_as(word, word, 0).await
    }

    async fn insert_as(&self, key: &str, word: &str, rank: u16) -> Inserted {
        let meta = Meta::new(SystemTime::now(), &HeaderMap::new()).encode();
        let body = Bytes::copy_from_slice(word.as_bytes());
        let key = Bytes::copy_from_slice(key.as_bytes());
        let record = NewRecord::new(self.queue.clone(), key, body)
            .with_meta(meta)
            .with_rank(rank);
        let answers = self.store.insert(&[record]).await.unwrap();
        self.wake.notify_one();
        answers[0]
    }

    async fn find(&self, key: &str) -> Found {
        let found = self.store.inner.find(&self.queue, key.as_bytes()).await;
        found.unwrap().unwrap()
    }

    async fn is(&self, key: &str, state: State) -> bool {
        self.find(key).await.state == state
    }

    /// Turns the clock, a step at a time, until the condition holds.
    async fn turn_until(&self, step: Duration, mut done: impl FnMut() -> bool) {
        for _ in 0..20_000 {
            calm().await;
            if done() {
                return;
            }
            self.hands.advance(step);
        }
        panic!("it never came to be");
    }

    /// Turns the clock by all of it, a step at a time.
    async fn turn(&self, all: Duration, step: Duration) {
        let end = self.hands.elapsed() + all;
        while self.hands.elapsed() < end {
            calm().await;
            self.hands.advance(step);
        }
        calm().await;
    }

    /// Waits, without turning the clock, until the condition holds.
    async fn until(&self, done: impl FnMut() -> bool) {
        self.turn_until(Duration::ZERO, done).await;
    }

    async fn until_state(&self, key: &str, state: State) {
        for _ in 0..20_000 {
            calm().await;
            if self.is(key, state).await {
                return;
            }
        }
        panic!(
            "{key} never became {state:?}, but is {:?}",
            self.find(key).await
        );
    }

    /// The settlements of a key's leases, without the extensions.
    fn actions(&self) -> Vec<Action> {
        let calls = self.store.settled();
        calls.into_iter().flatten().map(|s| s.action).collect()
    }
}

fn spawn(worker: Worker) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

/// Lets everything that can go on, go on. The tests' runtimes have one thread.
async fn calm() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A list that a handler writes and a test reads.
struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Seen<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn push(&self, value: T) {
        self.0.lock().unwrap().push(value);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A delivery, and how its handler is to end.
type Told = (Delivery<Word>, oneshot::Sender<Result<(), HandlerError>>);

/// A handler that tells of each delivery and ends when, and as, the test says.
fn by_hand() -> (AnyHandler, mpsc::UnboundedReceiver<Told>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = AnyHandler::from_fn(move |delivery: Delivery<Word>| {
        let (end, ended) = oneshot::channel();
        let _ = tell.send((delivery, end));
        async move { ended.await.unwrap_or_else(|_| Err("never ended".into())) }
    });
    (handler, told)
}

/// Collects what is traced in this thread, also how spans ended.
fn traces() -> Capture {
    Capture::start_with(Level::INFO, FmtSpan::CLOSE)
}
