//! The worker, as users hold it.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
};

use tokio::sync::{Notify, Semaphore, watch};

use super::{AnyHandler, WorkerSettings, join::join_all, run};
use crate::{
    Clock,
    liveness::{Life, Liveness},
    store::{AnyStore, Queue, QueueKind, Retention},
};

/// Handles what the service received: made by the builder, and to be run.
///
/// A worker serves one endpoint, or several put together by [`with`](Self::with). Their
/// [readiness](crate::CallbackService::readiness) fails while it does not run: everything would be
/// answered with 200 and nothing be handled. Dropped before it was run to its end, it warns.
///
/// ```no_run
/// # async fn example(worker: tower_callback::worker::Worker) {
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let worker = tokio::spawn(worker.run_until(async {
///     let _ = stopped.await;
/// }));
/// // … serve …
/// let _ = stop.send(());
/// let _ = worker.await;
/// # }
/// ```
#[must_use = "nothing is handled until the worker is run: spawn `worker.run_until(shutdown)`"]
pub struct Worker {
    endpoints: Vec<Endpoint>,
    beside: Vec<Beside>,
}

type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One endpoint's share of a worker.
pub(super) struct Endpoint {
    pub(super) queue: Queue,
    pub(super) store: AnyStore,
    pub(super) clock: Clock,
    pub(super) settings: WorkerSettings,
    pub(super) handler: AnyHandler,
    /// Notified by the front of the same process after an insert.
    pub(super) wake: Arc<Notify>,
    liveness: Liveness,
}

impl Worker {
    /// A worker for one endpoint, whose settings are valid.
    pub(crate) fn new(
        queue: Queue,
        store: AnyStore,
        clock: Clock,
        settings: WorkerSettings,
        handler: AnyHandler,
        wake: Arc<Notify>,
        liveness: Liveness,
    ) -> Self {
        Self {
            endpoints: vec![Endpoint {
                queue,
                store,
                clock,
                settings,
                handler,
                wake,
                liveness,
            }],
            beside: Vec::new(),
        }
    }

    /// One worker for the endpoints of both. They run side by side, each with its own settings, and
    /// share two things: at most one suspect (an event whose earlier lease expired) runs at a time,
    /// and all of them purge with the longest of their [retentions](crate::store::Retention), of each
    /// kind, since a purge goes through the whole store.
    ///
    /// Workers that are *not* put together and share a store, in this process or in others, need the
    /// same retention: the shortest one forgets for all of them.
    pub fn with(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        self.beside.extend(other.beside);
        self
    }

    /// Runs a future beside the handlers, from when the worker is run until it has ended, such as
    /// [`Health::run`](crate::health::Health::run). One that ends earlier changes nothing.
    pub fn beside(mut self, future: impl Future<Output = ()> + Send + 'static) -> Self {
        self.beside.push(Box::pin(future));
        self
    }

    /// Handles events for ever.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// Handles events until `shutdown` resolves, and then ends gracefully: nothing more is leased,
    /// running handlers get the shutdown grace, and what is unfinished then is aborted and released, so
    /// that the next worker has it at once.
    ///
    /// When this future is dropped instead, running handlers are aborted, and their events come again
    /// when their leases have expired.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { endpoints, beside } = self;
        for endpoint in &endpoints {
            endpoint.liveness.set(Life::Running);
        }
        let (stop, stopped) = watch::channel(false);
        let shared = run::Shared {
            stop: stopped,
            suspects: Arc::new(Semaphore::new(1)),
            retention: longest_retention(&endpoints),
        };
        let handling = async {
            let each = |endpoint| run::run(endpoint, shared.clone());
            let mut all = pin!(join_all(endpoints.iter().map(each)));
            tokio::select! {
                _ = &mut all => {}
                () = shutdown => {
                    stop.send_replace(true);
                    all.await;
                }
            }
        };
        let beside = async {
            join_all(beside).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = handling => {}
            () = beside => {}
        }
        for endpoint in &endpoints {
            endpoint.liveness.set(Life::Stopped);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tracked tasks of an endpoint are no endpoint of their own.
        let events = |e: &&Endpoint| e.queue.kind() == QueueKind::Events;
        let names = self.endpoints.iter().filter(events);
        let names = names.map(|e| e.queue.endpoint());
        f.debug_struct("Worker")
            .field("endpoints", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let (life, what) = match self.liveness.get() {
            Life::Waiting => (Life::Dropped, "was dropped without being run"),
            Life::Running => (Life::Dropped, "was dropped before it ended"),
            Life::Stopped | Life::Dropped => return,
        };
        self.liveness.set(life);
        tracing::warn!(
            endpoint = self.queue.endpoint(),
            "the worker {what}: events are received and not handled",
        );
    }
}

/// The longest retention among the endpoints, on the clock of the stores.
fn longest_retention(endpoints: &[Endpoint]) -> Retention {
    let on_stores_clock = |endpoint: &Endpoint| {
        let retention = endpoint.settings.retention;
        retention.map(|duration| endpoint.clock.to_store(duration))
    };
    endpoints
        .iter()
        .map(on_stores_clock)
        .reduce(Retention::longest)
        .unwrap_or_default()
}
