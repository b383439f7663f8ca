//! The builder: from a name and a proof to a service and a worker.

mod plan;
mod settings;
#[cfg_attr(
    not(feature = "client"),
    allow(dead_code, reason = "the rooms that track tasks are behind features")
)]
mod tracking;

use std::{fmt, marker::PhantomData, sync::Arc};

use tower::Service;

use self::plan::{Plan, Wakes};
#[cfg(feature = "client")]
pub(crate) use self::tracking::{Ground, Poller, Tracking};
use crate::{
    BoxError, Clock,
    error::BuildError,
    event::Event,
    front::{Accepting, CallbackService, FrontSettings, Sink, Unreadable, read},
    liveness::Liveness,
    store::{AnyInbox, AnyStore, Inbox, Store},
    verify::{Unverified, Verify},
    worker::{AnyHandler, Delivery, Handler, HandlerError, Worker, WorkerSettings},
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
    plan: Plan,
    store: S,
    handler: H,
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
pub trait HasHandler: sealed::Sealed {}

impl HasHandler for Handled {}

/// What [`Callbacks::build_front`] needs: that there is no handler, which it would drop.
#[diagnostic::on_unimplemented(
    message = "a front alone handles nothing, and a handler was given",
    label = "leave out `.handle(..)` before this",
    note = "the handler goes to the worker: `.build()` makes both, `.build_worker()` the worker alone"
)]
pub trait LacksHandler: sealed::Unhandled {}

impl LacksHandler for NoHandler {}

mod sealed {
    use super::{Handled, NoHandler};

    pub trait Unhandled {}

    impl Unhandled for NoHandler {}

    pub trait Sealed {
        fn handled(self) -> Handled;
    }

    impl Sealed for Handled {
        fn handled(self) -> Handled {
            self
        }
    }
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
            plan: Plan {
                name: name.into(),
                proof: Box::new(proof),
                clock: Clock::system(),
                front: FrontSettings::default(),
                worker: WorkerSettings::default(),
                tracking: None,
            },
            store: NoStore(()),
            handler: NoHandler(()),
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
    /// There is no worker, so its settings do not matter here, though a wrong one is still an error.
    /// The text of an `Err` and of its sources is traced, at most 4 KiB of it.
    ///
    /// # Errors
    ///
    /// When a setting is wrong.
    pub fn accept<F, Fut>(self, accept: F) -> Result<CallbackService, BuildError>
    where
        F: Fn(E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.plan.validate::<E>()?;
        if let Some(tracking) = &self.plan.tracking {
            return Err(BuildError::new(
                tracking.setting,
                "tasks are tracked in a store, and `.accept(..)` has none: give one by `.store(..)`",
            ));
        }
        let accepting: Accepting = Box::new(move |callback, signed| {
            let (event, _): (E, _) = read(callback, signed)?;
            let accepted = accept(event);
            Ok::<_, Unreadable>(Box::pin(async move {
                accepted.await.map_err(|error| error.text())
            }))
        });
        Ok(self.plan.into_service::<E>(Sink::Accept(accepting), None))
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
            plan: self.plan,
            store,
            handler: self.handler,
            event: PhantomData,
        }
    }
}

impl<E: Event, S> Callbacks<E, S, NoHandler> {
    /// Handles events with a function.
    ///
    /// It is called at least once for each event, and again after every failure as the
    /// [retry policy](Self::retry) says. The error of anything becomes a
    /// [`HandlerError`] by `?`: end in `call().await?; Ok(())`, and not in `call().await`.
    ///
    /// What it needs, such as a pool, each call clones, since several run at the same time. An
    /// `async move |delivery| …` that captures anything is none that can be called again.
    ///
    /// ```
    /// # use tower_callback::{BuildError, CallbackService, Callbacks, MemoryStore, MusicVideo, Token, Worker};
    /// # #[derive(Clone)] struct Db;
    /// # impl Db { async fn save(&self, _: &MusicVideo) -> Result<(), std::io::Error> { Ok(()) } }
    /// # fn build(proof: Token, db: Db) -> Result<(CallbackService, Worker), BuildError> {
    /// Callbacks::<MusicVideo>::new("music-video", proof)
    ///     .store(MemoryStore::new())
    ///     .handle(move |delivery| {
    ///         let db = db.clone();
    ///         async move {
    ///             db.save(&delivery.event).await?;
    ///             Ok(())
    ///         }
    ///     })
    ///     .build()
    /// # }
    /// ```
    ///
    /// A type that implements [`Handler`] goes to [`handler`](Self::handler).
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
            plan: self.plan,
            store: self.store,
            handler: Handled(handler),
            event: PhantomData,
        }
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
        let (mut plan, store, handler) = self.checked()?;
        let wakes = Wakes::default();
        let liveness = Liveness::new();
        let sink = plan.store_sink::<E>(AnyInbox::new(store.clone()), &wakes);
        let worker = plan.worker(store, handler, wakes, liveness.clone());
        Ok((plan.into_service::<E>(sink, Some(liveness)), worker))
    }

    /// The service alone, for a process without a worker. The worker elsewhere finds what is stored
    /// by polling, and purges. A handler has no place here: give it to the worker.
    ///
    /// # Errors
    ///
    /// When a setting is wrong; the error names it, and says how to mend it.
    pub fn build_front(self) -> Result<CallbackService, BuildError>
    where
        S: Inbox,
        H: LacksHandler,
    {
        let Self { plan, store, .. } = self;
        plan.validate::<E>()?;
        let inbox = AnyInbox::new(store);
        plan.check_store(&inbox)?;
        let sink = plan.store_sink::<E>(inbox, &Wakes::default());
        Ok(plan.into_service::<E>(sink, None))
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
        let (mut plan, store, handler) = self.checked()?;
        Ok(plan.worker(store, handler, Wakes::default(), Liveness::new()))
    }

    /// What a worker is made of, every setting checked.
    fn checked(self) -> Result<(Plan, AnyStore, AnyHandler), BuildError>
    where
        S: Store,
        H: HasHandler,
    {
        let Self {
            plan,
            store,
            handler,
            ..
        } = self;
        plan.validate::<E>()?;
        let store = AnyStore::new(store);
        plan.check_store(&store)?;
        Ok((plan, store, handler.handled().0))
    }
}

impl<E, S, H> fmt::Debug for Callbacks<E, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("name", &self.plan.name)
            .field("clock", &self.plan.clock)
            .finish_non_exhaustive()
    }
}
