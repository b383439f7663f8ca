//! The loop of one endpoint: four small loops side by side, in one future.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    heartbeat::Heartbeat,
    held::Held,
    jobs::{About, End, Jobs},
    purge,
    settling::Outbox,
    worker::Endpoint,
};
use crate::store::Retention;

/// What the loops of one endpoint share.
pub(super) struct Run<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) held: Arc<Held>,
    pub(super) jobs: Jobs,
    pub(super) outbox: Outbox,
    /// Ended deliveries whose lease a transaction was to complete.
    pub(super) asks: Mutex<VecDeque<(About, End)>>,
    /// One permit for each handler that may run.
    pub(super) slots: Arc<Semaphore>,
    /// One permit for the whole worker.
    pub(super) suspects: Arc<Semaphore>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What the endpoints of one worker share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) stop: watch::Receiver<bool>,
    /// One permit for the whole worker.
    pub(super) suspects: Arc<Semaphore>,
    /// On the clock of the stores.
    pub(super) retention: Retention,
}

/// Runs an endpoint until `stop` is true and what it had begun is settled or released.
pub(super) async fn run(endpoint: &Endpoint, shared: Shared) {
    let Shared {
        stop,
        suspects,
        retention,
    } = shared;
    let settings = &endpoint.settings;
    let run = Run {
        endpoint,
        held: Arc::default(),
        jobs: Jobs::default(),
        outbox: Outbox::default(),
        asks: Mutex::default(),
        slots: Arc::new(Semaphore::new(settings.concurrency)),
        suspects,
        stop,
    };
    let mut heartbeat = JoinSet::new();
    heartbeat.spawn(
        Heartbeat {
            queue: endpoint.queue.clone(),
            store: endpoint.store.clone(),
            clock: endpoint.clock.clone(),
            ttl: settings.lease_ttl,
            held: Arc::clone(&run.held),
        }
        .run(),
    );
    tokio::select! {
        () = run.until_stopped() => {}
        never = run.settle() => match never {},
        never = purge::run(endpoint, &retention) => match never {},
    }
}

impl Run<'_> {
    /// Ends when what was begun is settled or released, or when that takes too long.
    async fn until_stopped(&self) {
        let all = async {
            self.lease().await;
            self.held.fewer_than(1).await;
            // A handler whose lease was lost still runs.
            self.jobs.none().await;
        };
        tokio::select! {
            biased;
            () = all => {}
            () = self.patience() => tracing::warn!(
                endpoint = self.endpoint.queue.endpoint(),
                unfinished = self.jobs.count(),
                unsettled = self.held.count(),
                "the worker ends with leases that it could not give back: their events come again when they expire",
            ),
        }
    }

    /// Lets handlers finish, aborts those that do not, and lets the store settle what is left.
    async fn patience(&self) {
        let Endpoint {
            clock, settings, ..
        } = self.endpoint;
        self.stopping().await;
        if self.jobs.count() > 0 {
            tracing::info!(
                endpoint = self.endpoint.queue.endpoint(),
                unfinished = self.jobs.count(),
                "the worker stops: handlers that run may go on for the shutdown grace",
            );
        }
        clock.sleep(settings.shutdown_grace).await;
        if self.jobs.count() > 0 {
            tracing::info!(
                endpoint = self.endpoint.queue.endpoint(),
                unfinished = self.jobs.count(),
                "the shutdown grace is over: unfinished handlers are aborted, and their events released",
            );
            self.jobs.abort_all();
        }
        // Longer would be of no use: the leases would expire meanwhile.
        clock.sleep(settings.lease_ttl).await;
    }

    /// Waits until the worker is asked to stop.
    pub(super) async fn stopping(&self) {
        let mut stop = self.stop.clone();
        // An error means that whoever could ask is gone, which says the same.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}
