//! The same store, as it is called: over a wire that can be cut, and from processes that end.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use tower_callback::{
    clock::ManualClock,
    store::{
        Action, Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, RecordId,
        Retention, Settled, Settlement, Store, StoreError,
    },
    testing::conformance::Cut,
};

use crate::flaws::{Flaw, FlawedStore};

/// Calls are this long on the wire.
const LENGTH: usize = 100;

impl FlawedStore {
    async fn over_the_wire<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.write_what_is_unwritten().await?;
        if self.has(Flaw::NeverConnectsAgain) && self.notes().cut_before {
            return Err(lost());
        }
        let cut = self.notes().cut.take_if(|cut| match *cut {
            Cut::Request(bytes) | Cut::Answer(bytes) => bytes < LENGTH,
        });
        let answer = match cut {
            None => return call.await,
            Some(Cut::Request(_)) => Err(lost()),
            Some(Cut::Answer(_)) => call.await.and(Err(lost())),
        };
        self.notes().cut_before = true;
        match self.flaw {
            Flaw::LostAnswersAreRejected => Err(StoreError::rejected("what was that?")),
            _ => answer,
        }
    }

    async fn write_what_is_unwritten(&self) -> Result<(), StoreError> {
        let unwritten = std::mem::take(&mut self.notes().unwritten);
        if !unwritten.is_empty() {
            self.store.insert(&unwritten).await?;
        }
        Ok(())
    }

    /// As this store's own process sees a duration of the caller's.
    fn by_the_callers_clock(&self, duration: Duration) -> Duration {
        if !self.has(Flaw::CallersClockCounts) {
            return duration;
        }
        let days = Duration::from_secs(24 * 60 * 60 * self.days_off.unsigned_abs());
        if self.days_off < 0 {
            duration.saturating_sub(days)
        } else {
            duration.saturating_add(days)
        }
    }
}

fn lost() -> StoreError {
    StoreError::unavailable("the connection is lost")
}

impl Drop for FlawedStore {
    fn drop(&mut self) {
        if !(self.is_process && self.has(Flaw::LeasesEndWithTheProcess)) {
            return;
        }
        let held: Vec<_> = self.notes().leases.values().cloned().collect();
        for lease in held {
            let after = Duration::ZERO;
            let release = [Settlement::new(lease, Action::Release { after })];
            let settle = pin!(self.store.settle(&release));
            // The memory store never waits.
            let _ = settle.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Inbox for FlawedStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let bad = records.iter().any(|record| record.meta.len() > 16 * 1024);
        match self.flaw {
            Flaw::BadRecordsAreUnavailable if bad => {
                return Err(StoreError::unavailable("too long"));
            }
            Flaw::RejectedBatchesAreRemembered if bad => {
                let mut notes = self.notes();
                notes.ids.extend(records.iter().map(|record| record.id));
                return Err(StoreError::rejected("too long"));
            }
            Flaw::AnswersBeforeItWrites if records.len() == 1 => {
                self.write_what_is_unwritten().await?;
                let record = &records[0];
                if self.store.find(&record.queue, &record.key).await?.is_none() {
                    self.notes().unwritten.push(record.clone());
                    return Ok(vec![Inserted::Fresh]);
                }
            }
            Flaw::RetriesUnderNewIds if self.notes().cut == Some(Cut::Answer(0)) => {
                let mut again = records.to_vec();
                for record in &mut again {
                    record.id = RecordId::random();
                }
                self.store.insert(&again).await?;
            }
            _ => {}
        }
        let records: Vec<_> = records
            .iter()
            .map(|record| {
                let due_in = self.by_the_callers_clock(record.due_in);
                record.clone().with_due_in(due_in)
            })
            .collect();
        self.over_the_wire(self.insert_there(&records)).await
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        self.store.manual_clock()
    }
}

impl Store for FlawedStore {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let ttl = self.by_the_callers_clock(ttl);
        self.over_the_wire(self.lease_there(queue, max, ttl)).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.over_the_wire(self.settle_there(settlements)).await
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.over_the_wire(self.find_there(queue, key)).await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.over_the_wire(self.purge_there(retention)).await
    }
}
