//! The store that forgets when the process ends.

mod alive;
#[cfg(test)]
mod edges;
mod failures;
mod forget;
mod index;
mod insert;
mod inspect;
mod lease;
mod list;
mod log;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use self::{
    alive::{Content, Texts},
    index::{Hashes, MAX_SPOTS},
    lease::lease_end,
    state::{Inner, Limits},
};
use super::{
    Durability, Found, Inbox, Inserted, LeaseToken, Leased, NewRecord, Purged, Queue, RecordId,
    Retention, Settled, Settlement, Store, StoreError,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};
use crate::clock::ManualClock;

/// A [`Store`] in memory: for tests, and for events that one can afford to lose.
///
/// It is [volatile](Durability::Volatile): what it holds ends with the process. Everything is bounded
/// by count:
///
/// | what | default | when it is reached |
/// | --- | --- | --- |
/// | [pending](Self::with_capacity) | 100,000 | new records are refused, and nothing is evicted |
/// | [remembered](Self::with_remembered), done or dead | 1,000,000 | the oldest is forgotten |
/// | [quarantine](Self::with_quarantine), of each endpoint | 10,000 | the oldest is dropped, and counted |
/// | [bodies](Self::with_bodies) of what is done, and of what is dead | 10,000 each | the oldest loses its body |
///
/// The numbers are for a process with some hundred MiB to spare: 100,000 pending events with bodies of
/// 1 KiB are about 100 MiB, which at ten a second is an outage of almost three hours; a million
/// remembered ones are 64 MiB, and more than a day of those ten a second; 10,000 bodies are enough to
/// look into the last quarter of an hour, for 10 MiB each.
///
/// A remembered event takes at most 64 bytes beside its body. An upgrade is no new record: it finds
/// its place in a full store too. A lease takes at most 1,024 records at once.
///
/// Whoever [looks in](Inspect) at one record goes through all of them under the store's lock, which
/// takes some milliseconds where a million are remembered.
///
/// Clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    hashes: Hashes,
    /// Makes the tokens of two stores differ, should all else be equal.
    mark: [u8; 2],
    time: Time,
    /// Never held while anything waits; for microseconds, except by operators.
    inner: Mutex<Inner>,
}

enum Time {
    System(Instant),
    Manual(ManualClock),
}

/// The most records that one lease takes, because the lock is held meanwhile.
const MAX_LEASE: usize = 1024;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::on(Time::System(Instant::now()))
    }

    /// An empty store whose time is turned by hand.
    pub fn with_clock(clock: &ManualClock) -> Self {
        Self::on(Time::Manual(clock.clone()))
    }

    fn on(time: Time) -> Self {
        let [a, b, ..] = LeaseToken::random().to_bytes();
        let hashes = Hashes::new();
        let limits = Limits {
            capacity: 100_000,
            remembered: 1_000_000,
            quarantine: 10_000,
            bodies: 10_000,
        };
        Self {
            shared: Arc::new(Shared {
                hashes: hashes.clone(),
                mark: [a, b],
                time,
                inner: Mutex::new(Inner::new(limits, hashes)),
            }),
        }
    }

    /// At most this many pending and leased records, in all queues but quarantine together.
    #[must_use]
    pub fn with_capacity(self, records: usize) -> Self {
        self.lock().limits.capacity = records.min(MAX_SPOTS);
        self
    }

    /// Remembers at most this many records that are done or dead, in all queues together.
    #[must_use]
    pub fn with_remembered(self, records: usize) -> Self {
        self.lock().limits.remembered = records.min(MAX_SPOTS);
        self
    }

    /// Keeps at most this many unreadable callbacks of each endpoint.
    #[must_use]
    pub fn with_quarantine(self, records: usize) -> Self {
        self.lock().limits.quarantine = records.min(MAX_SPOTS);
        self
    }

    /// Keeps the bodies of at most this many of the newest done records, and of as many dead ones.
    #[must_use]
    pub fn with_bodies(self, records: usize) -> Self {
        self.lock().limits.bodies = records.min(MAX_SPOTS);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code of a user's runs under the lock, so nothing panics there halfway.
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        match &self.shared.time {
            Time::System(start) => start.elapsed(),
            Time::Manual(clock) => clock.elapsed(),
        }
    }

    pub(super) fn insert_one(&self, record: &NewRecord) -> Result<Inserted, StoreError> {
        let place = self.shared.hashes.place(&record.queue, &record.key);
        let content = Content {
            id: record.id,
            rank: record.rank,
            texts: Texts::new(&record.key, &record.body, &record.meta),
            digest: self.shared.hashes.long_body(&record.body),
        };
        let mut inner = self.lock();
        let now = self.now();
        inner.insert(&record.queue, place, content, record.due_in, now)
    }

    /// The place of the record's key, the serial number of the lease, and the mark of the store: with
    /// the first two a settlement finds its record.
    fn token(&self, place: u64, serial: u64) -> LeaseToken {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&place.to_le_bytes());
        bytes[8..].copy_from_slice(&serial.to_le_bytes());
        bytes[14..].copy_from_slice(&self.shared.mark);
        LeaseToken::from_bytes(bytes)
    }

    /// The place and the serial number, if the token is one of this store's.
    fn read_token(&self, token: LeaseToken) -> Option<(u64, u64)> {
        let bytes = token.to_bytes();
        if bytes[14..] != self.shared.mark {
            return None;
        }
        let mut place = [0; 8];
        place.copy_from_slice(&bytes[..8]);
        let mut serial = [0; 8];
        serial[..6].copy_from_slice(&bytes[8..14]);
        let serial = u64::from_le_bytes(serial);
        (serial != 0).then_some((u64::from_le_bytes(place), serial))
    }
}

impl Inbox for MemoryStore {
    fn durability(&self) -> Durability {
        Durability::Volatile
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        records
            .iter()
            .map(|record| self.insert_one(record))
            .collect()
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        match &self.shared.time {
            Time::System(_) => None,
            Time::Manual(clock) => Some(clock),
        }
    }
}

impl Store for MemoryStore {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let mut leased = Vec::new();
        let mut inner = self.lock();
        let now = self.now();
        let until = lease_end(now, ttl);
        let token = |place, serial| self.token(place, serial);
        while leased.len() < max.min(MAX_LEASE) {
            let alone = leased.is_empty();
            let Some(next) = inner.lease_next(queue, until, alone, token, now) else {
                break;
            };
            let suspect = next.expiries > 0;
            leased.push(next);
            if suspect {
                break;
            }
        }
        Ok(leased)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let settle = |settlement: &Settlement| match self.read_token(settlement.lease.token) {
            Some((place, serial)) => {
                let mut inner = self.lock();
                let now = self.now();
                inner.settle(place, serial, &settlement.action, now)
            }
            None => Settled::Stale,
        };
        Ok(settlements.iter().map(settle).collect())
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        let place = self.shared.hashes.place(queue, key);
        let token = |place, serial| (serial != 0).then(|| self.token(place, serial));
        let inner = self.lock();
        let now = self.now();
        Ok(inner.find(place, queue, key, token, now))
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        let mut inner = self.lock();
        let now = self.now();
        Ok(inner.purge(retention, now))
    }
}

impl Inspect for MemoryStore {
    async fn counts(&self, queue: &Queue) -> Result<Counts, StoreError> {
        let inner = self.lock();
        let now = self.now();
        Ok(inner.counts(queue, now))
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let mut queues: Vec<Queue> = self.lock().names.keys().cloned().collect();
        queues.sort_by(|a, b| {
            let words = |queue: &Queue| queue.kind().as_str();
            (a.endpoint(), words(a)).cmp(&(b.endpoint(), words(b)))
        });
        Ok(queues)
    }

    async fn list(&self, queue: &Queue, listing: &Listing) -> Result<Page, StoreError> {
        let inner = self.lock();
        let now = self.now();
        inner.list(queue, listing, now)
    }

    async fn look(&self, queue: &Queue, id: RecordId) -> Result<Option<Record>, StoreError> {
        let inner = self.lock();
        let now = self.now();
        Ok(inner.look(queue, id, now))
    }

    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Requeued>, StoreError> {
        let mut inner = self.lock();
        let now = self.now();
        Ok(inner.requeue(queue, ids, now))
    }

    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Deleted>, StoreError> {
        let mut inner = self.lock();
        let now = self.now();
        Ok(inner.delete(queue, ids, now))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
