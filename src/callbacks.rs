//! The builder: from a name and a proof to a service and a worker.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tower::Service;

use crate::{
    BoxError, Clock,
    error::BuildError,
    event::Event,
    front::{CallbackService, Endpoint, FrontSettings, Sink, Unreadable, read, read_key},
    liveness::Liveness,
    store::{AnyInbox, AnyStore, Committer, Durability, Inbox, Queue, Retention, Store},
    verify::{Setup, Unverified, Verify},
    worker::{AnyHandler, Delivery, Handler, HandlerError, RetryPolicy, Worker, WorkerSettings},
};

/// Builds an endpoint: a named place where one kind of event arrives.
///
/// | what is given | what comes of it |
/// | --- | --- |
/// | a store and a handler | [`build`](Self::build): the service that receives, and the worker that handles |
/// | a store | [`build_front`](Self::build_front): the service alone; the worker is in another process |
/// | a store and a handler | [`build_worker`](Self::build_worker): the worker alone |
/// | neither | [`accept`](Self::accept): a service that hands each event to a function and stores nothing |
///
/// What is missing is a compiler error. What is wrong is a [`BuildError`] that names the setting.
#[must_use = "a builder does nothing until it is built"]
pub struct Callbacks<E, S = NoStore, H = NoHandler> {
    name: Arc<str>,
    proof: Box<dyn Verify>,
    store: S,
    handler: H,
    clock: Clock,
    front: FrontSettings,
    worker: WorkerSettings,
    event: PhantomData<fn() -> E>,
}

/// No store was given yet: call [`Callbacks::store`].
#[derive(Clone, Copy, Debug)]
pub struct NoStore(());

/// No handler was given yet: call [`Callbacks::handle`].
#[derive(Clone, Copy, Debug)]
pub struct NoHandler(());

/// A handler was given.
#[derive(Debug)]
pub struct Handled(AnyHandler);

/// What [`Callbacks::build`] needs of a handler: that there is one.
#[diagnostic::on_unimplemented(
    message = "no handler was given",
    label = "call `.handle(..)` before this",
    note = "`.handle(closure)`, `.handler(impl Handler)` or `.handle_service(tower::Service)` gives one; a front alone is `.build_front()`"
)]
pub trait HasHandler: sealed::Sealed {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn into_any(self) -> AnyHandler;
}

impl HasHandler for Handled {
    #[allow(private_interfaces)]
    fn into_any(self) -> AnyHandler {
        self.0
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Handled {}
}

// The bounds stand on the methods, where the compiler says what is missing in our words.
impl<E> Callbacks<E> {
    /// An endpoint with a name and a proof.
    ///
    /// The name is what the store knows the endpoint by. It outlives path changes: give each provider
    /// account one, and never change it while there are records. 1 to 64 letters, digits, `-`, `_`, `.`.
    pub fn new(name: impl Into<Arc<str>>, proof: impl Verify) -> Self
    where
        E: Event,
    {
        Self {
            name: name.into(),
            proof: Box::new(proof),
            store: NoStore(()),
            handler: NoHandler(()),
            clock: Clock::system(),
            front: FrontSettings::default(),
            worker: WorkerSettings::default(),
            event: PhantomData,
        }
    }

    /// Ways to build an endpoint that let everybody in.
    pub fn dangerous() -> Dangerous<E> {
        Dangerous(PhantomData)
    }
}

impl<E: Event> Callbacks<E> {
    /// The way without store and worker, for those whose own upsert is the dedupe: each event goes
    /// to `accept` in the request's future, and the answer is 200 only after `Ok`. Any `Err` is 503.
    ///
    /// The future is dropped when the caller hangs up, and at the ack deadline: be transactional. What
    /// cannot be read is answered with 4xx and traced, since there is nowhere to keep it. A failure
    /// that comes after a success is yours to refuse.
    ///
    /// # Errors
    ///
    /// When a setting is wrong.
    pub fn accept<F, Fut>(self, accept: F) -> Result<CallbackService, BuildError>
    where
        F: Fn(E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.validate()?;
        let accepting: crate::front::Accepting = Box::new(move |callback, signed| {
            let (event, _): (E, _) = read(callback, signed)?;
            let accepted = accept(event);
            Ok::<_, Unreadable>(Box::pin(async move {
                accepted.await.map_err(|error| error.to_string())
            }))
        });
        Ok(self.into_service(Sink::Accept(accepting), None))
    }
}

/// Ways to build an endpoint that let everybody in: made by [`Callbacks::dangerous`].
#[derive(Debug)]
pub struct Dangerous<E>(PhantomData<fn() -> E>);

impl<E> Dangerous<E> {
    /// An endpoint without any proof.
    ///
    /// # Security
    ///
    /// Whoever finds the URL makes events. For a network that only the provider can reach, and for
    /// first steps on one's own machine.
    pub fn unverified(self, name: impl Into<Arc<str>>) -> Callbacks<E>
    where
        E: Event,
    {
        Callbacks::new(name, Unverified(()))
    }
}

impl<E: Event, H> Callbacks<E, NoStore, H> {
    /// Keeps events in this store.
    ///
    /// An endpoint with a worker needs a [`Store`]; a front alone needs an [`Inbox`].
    pub fn store<S: Inbox>(self, store: S) -> Callbacks<E, S, H> {
        Callbacks {
            name: self.name,
            proof: self.proof,
            store,
            handler: self.handler,
            clock: self.clock,
            front: self.front,
            worker: self.worker,
            event: PhantomData,
        }
    }
}

impl<E: Event, S> Callbacks<E, S, NoHandler> {
    /// Handles events with a function.
    ///
    /// It is called at least once for each event, and again after every failure as the
    /// [retry policy](Self::retry) says. The error of anything becomes a
    /// [`HandlerError`] by `?`.
    pub fn handle<F, Fut>(self, handle: F) -> Callbacks<E, S, Handled>
    where
        F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.with_handler(AnyHandler::from_fn(handle))
    }

    /// Handles events with a type that has state.
    pub fn handler(self, handler: impl Handler<E>) -> Callbacks<E, S, Handled> {
        self.with_handler(AnyHandler::from_handler(handler))
    }

    /// Handles events with a tower service, so that any middleware can stand before the handler. Its
    /// readiness is awaited before an event is leased.
    pub fn handle_service<T>(self, service: T) -> Callbacks<E, S, Handled>
    where
        T: Service<Delivery<E>, Response = ()> + Clone + Send + 'static,
        T::Error: Into<BoxError>,
        T::Future: Send,
    {
        self.with_handler(AnyHandler::from_service(service))
    }

    fn with_handler(self, handler: AnyHandler) -> Callbacks<E, S, Handled> {
        Callbacks {
            name: self.name,
            proof: self.proof,
            store: self.store,
            handler: Handled(handler),
            clock: self.clock,
            front: self.front,
            worker: self.worker,
            event: PhantomData,
        }
    }
}

/// Settings of the front.
impl<E: Event, S, H> Callbacks<E, S, H> {
    /// The largest body of a caller who proved himself by his head, in bytes: 2 MiB by default, a
    /// thousand times what the provider sends.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.front.body_limit = bytes;
        self
    }

    /// The largest body that is read before proof, in bytes: 256 KiB by default. Only proofs that
    /// cover the body need any.
    pub fn unproven_body_limit(mut self, bytes: usize) -> Self {
        self.front.unproven_body_limit = bytes;
        self
    }

    /// How many bodies are read before proof at once: 64 by default, so that strangers can make us
    /// hold at most 16 MiB. Others wait, and are answered with 503 when no place gets free.
    pub fn unproven_bodies(mut self, bodies: usize) -> Self {
        self.front.unproven_bodies = bodies;
        self
    }

    /// How long a body may take to arrive: 5 s by default, half of the ack deadline.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.front.body_timeout = timeout;
        self
    }

    /// When the answer is due, counted from the request's head: 10 s by default, since the provider
    /// waits for 15 s and the network takes its share.
    pub fn ack_deadline(mut self, deadline: Duration) -> Self {
        self.front.ack_deadline = deadline;
        self
    }

    /// What `Retry-After` says with a 503: 60 s by default, when the provider's first retry comes anyway.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.front.retry_after = after;
        self
    }

    /// Answers 415 to content types that are not JSON. By default the type is ignored if the bytes
    /// can be read: whatever is not answered with 200 may cost the result.
    pub fn strict_content_type(mut self) -> Self {
        self.front.strict_content_type = true;
        self
    }

    /// Answers every request without proof with one and the same 404, so that nobody learns that
    /// there is an endpoint.
    pub fn conceal(mut self) -> Self {
        self.front.conceal = true;
        self
    }

    /// Runs the endpoint on another clock than real time. See [`Clock`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// Settings of the worker.
impl<E: Event, S, H> Callbacks<E, S, H> {
    /// How many events are handled at once: 16 by default, what most databases and disks like.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.worker.concurrency = concurrency;
        self
    }

    /// How long one attempt may take. None by default: a lease is extended as long as the handler
    /// runs, and only you know how long it should.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.worker.handler_timeout = Some(timeout);
        self
    }

    /// How long a lease lasts when nobody extends it: 60 s by default. It is extended every third of
    /// that; what a dead process held is handled elsewhere after that.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.worker.lease_ttl = ttl;
        self
    }

    /// When a failed attempt is repeated: after 1 s, doubling to 10 min, with full jitter, for 48 h in
    /// all by default, a weekend's outage.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.worker.retry = policy;
        self
    }

    /// How often an idle worker looks into the store: every second by default. What arrives in this
    /// process wakes it at once.
    pub fn idle_poll(mut self, interval: Duration) -> Self {
        self.worker.idle_poll = interval;
        self
    }

    /// How long handlers may go on after shutdown: 30 s by default, what orchestrators give. What is
    /// unfinished then is released.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.worker.shutdown_grace = grace;
        self
    }

    /// After how many expired leases an event is given up, because its handler seems to end the
    /// process: 5 by default.
    pub fn suspect_limit(mut self, expiries: u32) -> Self {
        self.worker.suspect_limit = expiries;
        self
    }

    /// How long the store keeps what is settled. See [`Retention`] for the defaults.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.worker.retention = retention;
        self
    }
}

impl<E: Event, S, H> Callbacks<E, S, H> {
    /// The service that receives callbacks, and the worker that handles their events. Both in one
    /// process: what arrives wakes the worker.
    ///
    /// # Errors
    ///
    /// When a setting is wrong; the error names it, and says how to mend it.
    pub fn build(self) -> Result<(CallbackService, Worker), BuildError>
    where
        S: Store,
        H: HasHandler,
    {
        self.validate()?;
        let (settings, store, handler) = self.take_store();
        let store = AnyStore::new(store);
        settings.check_store(&store)?;
        let wake = Arc::new(Notify::new());
        let liveness = Liveness::new();
        let sink = settings.store_sink(AnyInbox::new(store.clone()), Arc::clone(&wake));
        let worker = settings.worker(store, handler.into_any(), wake, liveness.clone());
        Ok((settings.into_service(sink, Some(liveness)), worker))
    }

    /// The service alone, for a process without a worker. The worker elsewhere finds what is stored
    /// by polling, and purges.
    ///
    /// # Errors
    ///
    /// When a setting is wrong; the error names it, and says how to mend it.
    pub fn build_front(self) -> Result<CallbackService, BuildError>
    where
        S: Inbox,
    {
        self.validate()?;
        let (settings, store, _) = self.take_store();
        let inbox = AnyInbox::new(store);
        settings.check_store(&inbox)?;
        let sink = settings.store_sink(inbox, Arc::new(Notify::new()));
        Ok(settings.into_service(sink, None))
    }

    /// The worker alone, for a process without a front.
    ///
    /// # Errors
    ///
    /// When a setting is wrong; the error names it, and says how to mend it.
    pub fn build_worker(self) -> Result<Worker, BuildError>
    where
        S: Store,
        H: HasHandler,
    {
        self.validate()?;
        let (settings, store, handler) = self.take_store();
        let store = AnyStore::new(store);
        settings.check_store(&store)?;
        let wake = Arc::new(Notify::new());
        Ok(settings.worker(store, handler.into_any(), wake, Liveness::new()))
    }

    /// The builder without what the store and the handler are.
    fn take_store(self) -> (Callbacks<E>, S, H) {
        let settings = Callbacks {
            name: self.name,
            proof: self.proof,
            store: NoStore(()),
            handler: NoHandler(()),
            clock: self.clock,
            front: self.front,
            worker: self.worker,
            event: PhantomData,
        };
        (settings, self.store, self.handler)
    }

    fn validate(&self) -> Result<(), BuildError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(BuildError::new(
                "Callbacks::new",
                format!(
                    "the endpoint's name {:?} is not 1 to 64 letters, digits, `-`, `_` and `.`",
                    self.name
                ),
            ));
        }
        for (index, header) in E::HEADERS.iter().enumerate() {
            let before = &E::HEADERS[..index];
            if before
                .iter()
                .any(|other| other.eq_ignore_ascii_case(header))
            {
                return Err(BuildError::new(
                    "Event::HEADERS",
                    format!("{header:?} is listed twice: list it once, in lower case"),
                ));
            }
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                return Err(BuildError::new(
                    "Event::HEADERS",
                    format!("{header:?} is no header's name"),
                ));
            }
        }
        self.front.validate()?;
        self.worker.validate()?;
        self.proof.check(&Setup::leaf(&self.name))?;
        let keys = self.worker.retention.keys;
        match self.proof.horizon() {
            Some(horizon) if keys < horizon => Err(BuildError::new(
                "retention",
                format!(
                    "keys are forgotten after {keys:?}, and the proof accepts a captured request for \
                     {horizon:?}: keep keys for at least that long"
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl<E: Event> Callbacks<E> {
    /// Whether store and clock go together, and what the store means for the promise.
    fn check_store(&self, inbox: &impl Inbox) -> Result<(), BuildError> {
        let together = match (self.clock.as_manual(), inbox.manual_clock()) {
            (None, None) => true,
            (Some(ours), Some(stores)) => ours.is_same(stores),
            _ => false,
        };
        if !together {
            return Err(BuildError::new(
                "clock",
                "a manual clock goes only with the store that runs on it: give one and the same to \
                 `.clock(hands.clock())` and `MemoryStore::with_clock(&hands)`",
            ));
        }
        if inbox.durability() == Durability::Volatile {
            tracing::warn!(
                endpoint = %self.name,
                "the store is volatile: what it acknowledges is lost when the process ends"
            );
        }
        Ok(())
    }

    fn store_sink(&self, inbox: AnyInbox, wake: Arc<Notify>) -> Sink {
        Sink::Store {
            read: read_key::<E>,
            committer: Committer::new(inbox, self.clock.clone()),
            wake,
        }
    }

    fn worker(
        &self,
        store: AnyStore,
        handler: AnyHandler,
        wake: Arc<Notify>,
        liveness: Liveness,
    ) -> Worker {
        Worker::new(
            Queue::events(Arc::clone(&self.name)),
            store,
            self.clock.clone(),
            self.worker,
            handler,
            wake,
            liveness,
        )
    }

    fn into_service(self, sink: Sink, liveness: Option<Liveness>) -> CallbackService {
        CallbackService::new(Endpoint::new(
            self.name,
            E::HEADERS,
            self.proof,
            sink,
            self.front,
            self.clock,
            liveness,
        ))
    }
}

impl<E, S, H> fmt::Debug for Callbacks<E, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("name", &self.name)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
