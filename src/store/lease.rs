//! The right to handle one record for a while.

use std::time::Duration;

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
}

impl Lease {
    /// Names a lease.
    pub fn new(queue: Queue, id: RecordId, token: LeaseToken) -> Self {
        Self { queue, id, token }
    }
}

/// A record that was leased.
#[derive(Clone, Debug)]
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
