//! Extends the leases that are held, in a task of its own: nothing that the loop waits for delays it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use super::{
    held::{BATCH, Held},
    trouble::{Failed, Trouble, call},
};
use crate::{
    Clock,
    store::{Action, AnyStore, Queue, Settled, Settlement, Store},
};

pub(super) struct Heartbeat {
    pub(super) queue: Queue,
    pub(super) store: AnyStore,
    pub(super) clock: Clock,
    pub(super) ttl: Duration,
    pub(super) held: Arc<Held>,
}

impl Heartbeat {
    /// Beats every third of the ttl, so that two beats may fail before a lease expires; sooner when
    /// the last one did not reach every lease.
    pub(super) async fn run(self) -> Infallible {
        let mut trouble = Trouble::new(self.ttl / 12);
        let mut wait = self.ttl / 3;
        loop {
            self.clock.sleep(wait).await;
            wait = match self.beat().await {
                Ok(true) => {
                    trouble.is_over();
                    self.ttl / 3
                }
                Ok(false) => trouble.pause(),
                Err(failed) => {
                    if let Some(untold) = trouble.tell() {
                        tracing::warn!(
                            endpoint = self.queue.endpoint(),
                            error = %failed,
                            untold,
                            "leases could not be extended, which is tried again",
                        );
                    }
                    trouble.pause()
                }
            };
        }
    }

    /// Extends every lease, and answers whether all of them could be.
    async fn beat(&self) -> Result<bool, Failed> {
        let ttl = self.clock.to_store(self.ttl);
        let extend = |lease| Settlement::new(lease, Action::Extend { ttl });
        let all: Vec<_> = self.held.leases().into_iter().map(extend).collect();
        let mut beaten = Ok(true);
        for batch in all.chunks(BATCH) {
            match self.extend(batch).await {
                Ok(all) => beaten = beaten.map(|before| before && all),
                Err(failed) => beaten = Err(failed),
            }
        }
        beaten
    }

    async fn extend(&self, batch: &[Settlement]) -> Result<bool, Failed> {
        let answers = call(&self.clock, self.ttl / 6, self.store.settle(batch)).await?;
        if answers.len() != batch.len() {
            return Err(Failed::new("the store did not answer for each lease"));
        }
        let mut all = true;
        for (settlement, answer) in batch.iter().zip(answers) {
            match answer {
                Settled::Applied => {}
                Settled::Busy => all = false,
                Settled::Stale => self.lost(settlement),
            }
        }
        Ok(all)
    }

    fn lost(&self, settlement: &Settlement) {
        if let Some(key) = self.held.lose(settlement.lease.token) {
            tracing::warn!(
                endpoint = self.queue.endpoint(),
                key,
                "a lease was lost while its event was handled: it may be handled twice",
            );
        }
    }
}
