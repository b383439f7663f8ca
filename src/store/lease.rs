//! The right to handle one record for a while.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{LeaseToken, Queue, RecordId};
use crate::event::Rank;

/// Names a lease: what a settlement, or a transaction of the user's, refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Lease {
    /// The queue that the record was leased from.
    pub queue: Queue,
    /// The record as it was leased. An upgrade gives it another id while the lease stays good.
    pub id: RecordId,
    /// The fencing token.
    pub token: LeaseToken,
    completing: Completing,
}

impl Lease {
    /// Names a lease.
    pub fn new(queue: Queue, id: RecordId, token: LeaseToken) -> Self {
        Self {
            queue,
            id,
            token,
            completing: Completing::default(),
        }
    }

    /// A transaction of the user's is to settle this lease: from now on, whether it did is for the
    /// store to say, not for what the handler returns. To be called by a store's `complete`, before
    /// its first await, with the very lease of the delivery or a clone of it.
    pub fn mark_completing(&self) {
        self.completing.0.store(true, Ordering::Release);
    }

    /// Whether a transaction was to settle it.
    pub(crate) fn is_completing(&self) -> bool {
        self.completing.0.load(Ordering::Acquire)
    }
}

/// Shared by the clones of a lease, and no part of what makes two leases equal.
#[derive(Clone, Default)]
struct Completing(Arc<AtomicBool>);

impl PartialEq for Completing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Completing {}

impl Hash for Completing {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Completing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record that was leased.
#[derive(Clone)]
#[non_exhaustive]
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// The event's key.
    pub key: Bytes,
    /// The event's rank.
    pub rank: Rank,
    /// The body.
    pub body: Bytes,
    /// What the library keeps beside the body.
    pub meta: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many earlier leases ended by expiry. With any, the record is a suspect: the handler may
    /// be what ends the process.
    pub expiries: u32,
    /// Since the insert, the last upgrade or requeue, on the store's clock.
    pub age: Duration,
}

impl Leased {
    /// A record under a lease, at its first attempt.
    pub fn new(lease: Lease, key: Bytes, rank: Rank, body: Bytes, meta: Bytes) -> Self {
        Self {
            lease,
            key,
            rank,
            body,
            meta,
            attempt: 1,
            expiries: 0,
            age: Duration::ZERO,
        }
    }

    /// With the counts that the store keeps.
    #[must_use]
    pub fn with_history(mut self, attempt: u32, expiries: u32, age: Duration) -> Self {
        self.attempt = attempt;
        self.expiries = expiries;
        self.age = age;
        self
    }
}

/// Without the body and the headers in the meta, which may hold what no log should.
impl fmt::Debug for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leased")
            .field("lease", &self.lease)
            .field("key", &self.key)
            .field("rank", &self.rank)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("meta", &format_args!("{} bytes", self.meta.len()))
            .field("attempt", &self.attempt)
            .field("expiries", &self.expiries)
            .field("age", &self.age)
            .finish()
    }
}
