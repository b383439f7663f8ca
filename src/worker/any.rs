//! Handlers whose type, and whose event's type, is hidden.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{sync::watch, task::unconstrained};
use tower::Service;

use super::{Delivery, Handler, HandlerError, error::Verdict, span, trouble::Failed};
use crate::{
    BoxError,
    error::{bounded, chain},
    event::{Callback, Event, Meta, TraceContext},
    panic::catch_future,
    store::Leased,
};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A handler of any type, for events of any type.
#[derive(Clone)]
pub(crate) struct AnyHandler(pub(super) Arc<dyn Seats>);

/// A record, on its way to a handler.
pub(super) struct Job {
    pub(super) leased: Leased,
    pub(super) held: watch::Receiver<()>,
    /// Where the submission stands in its trace, as the step before the handler has found it.
    pub(super) submission: Option<TraceContext>,
}

/// Why an attempt failed, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    pub(super) error: String,
}

/// Room for one delivery at a handler that is ready for it. Dropped unused, it gives the room back.
pub(super) struct Seat(Take);

type Take = Box<dyn FnOnce(Job) -> BoxFuture<'static, Result<(), Failure>> + Send>;

impl AnyHandler {
    pub(crate) fn from_handler<E: Event, H: Handler<E>>(handler: H) -> Self {
        Self(Arc::new(OfHandler {
            handler: Arc::new(handler),
            event: PhantomData::<fn(E)>,
        }))
    }

    pub(crate) fn from_fn<E, F, Fut>(f: F) -> Self
    where
        E: Event,
        F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::from_handler::<E, _>(OfFn(f))
    }

    pub(crate) fn from_service<E, S>(service: S) -> Self
    where
        E: Event,
        S: Service<Delivery<E>, Response = ()> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self(Arc::new(OfService {
            service: Mutex::new(service),
            event: PhantomData::<fn(E)>,
        }))
    }

    /// Waits until the handler has room for a delivery.
    pub(super) async fn seat(&self) -> Result<Seat, Failed> {
        // A user's `clone`, `poll_ready` and error run in here.
        let seat = async {
            let seat = self.0.seat().await;
            seat.map_err(|error| chain(&*error))
        };
        let problem = match catch_future(seat).await {
            Ok(Ok(seat)) => return Ok(seat),
            Ok(Err(problem)) => problem,
            Err(panicked) => panicked.to_string(),
        };
        Err(Failed::new(format!(
            "the handler's service is not ready: {problem}"
        )))
    }

    /// Room for one more delivery, if there is some at once.
    pub(super) fn try_seat(&self) -> Option<Seat> {
        // Tokio's budget would make a ready semaphore look full now and then.
        let seat = pin!(unconstrained(self.seat()));
        match seat.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(seat)) => Some(seat),
            // What is wrong will be told by the next one that waits.
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }
}

impl fmt::Debug for AnyHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyHandler")
    }
}

impl Seat {
    pub(super) fn new<Fut>(take: impl FnOnce(Job) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        Self(Box::new(move |job| Box::pin(take(job))))
    }

    /// Reads the event and handles it.
    pub(super) fn take(self, job: Job) -> BoxFuture<'static, Result<(), Failure>> {
        (self.0)(job)
    }
}

impl Failure {
    /// A failure that is not the handler's word.
    pub(super) fn retry(error: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Retry,
            error: bounded(error.into()),
        }
    }
}

impl Failure {
    /// Whether nothing failed: a room's own record has only been looked at.
    pub(super) fn is_ruling(&self) -> bool {
        matches!(self.verdict, Verdict::Ruled(_))
    }
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        Self {
            verdict: error.verdict(),
            error: error.text(),
        }
    }
}

impl Job {
    /// Reads the event again, from the very view that the front read.
    fn open<E: Event>(self) -> Result<Delivery<E>, Failure> {
        let Self {
            leased,
            held,
            submission,
        } = self;
        let meta = Meta::decode(&leased.meta).map_err(|error| {
            Failure::retry(format!("the record's meta cannot be read: {error}"))
        })?;
        let event = E::parse(&Callback::new(
            &leased.body,
            meta.arrived(),
            &meta.headers(),
        ))
        .map_err(|error| Failure::from(HandlerError::from(error)))?;
        let delivery = Delivery::of(event, leased, meta, held, submission);
        span::opened(&delivery);
        Ok(delivery)
    }
}

pub(super) trait Seats: Send + Sync + 'static {
    fn seat(&self) -> BoxFuture<'_, Result<Seat, BoxError>>;
}

struct OfHandler<E, H> {
    handler: Arc<H>,
    event: PhantomData<fn(E)>,
}

impl<E: Event, H: Handler<E>> Seats for OfHandler<E, H> {
    fn seat(&self) -> BoxFuture<'_, Result<Seat, BoxError>> {
        let handler = Arc::clone(&self.handler);
        let take = move |job: Job| async move { Ok(handler.handle(job.open()?).await?) };
        Box::pin(async { Ok(Seat::new(take)) })
    }
}

struct OfFn<F>(F);

impl<E, F, Fut> Handler<E> for OfFn<F>
where
    E: Event,
    F: Fn(Delivery<E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn handle(
        &self,
        delivery: Delivery<E>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        (self.0)(delivery)
    }
}

struct OfService<E, S> {
    /// Only ever cloned from. Its own readiness is never used.
    service: Mutex<S>,
    event: PhantomData<fn(E)>,
}

impl<E, S> Seats for OfService<E, S>
where
    E: Event,
    S: Service<Delivery<E>, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn seat(&self) -> BoxFuture<'_, Result<Seat, BoxError>> {
        Box::pin(async {
            // Readiness belongs to the very clone that showed it, which is the one that is called.
            let mut service = self
                .service
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            Ok(Seat::new(move |job: Job| async move {
                let delivery = job.open()?;
                service.call(delivery).await.map_err(HandlerError::from)?;
                Ok(())
            }))
        })
    }
}
