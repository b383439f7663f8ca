//! How a lease ends.

use std::time::Duration;

use super::Lease;

/// What to do with a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// The lease.
    pub lease: Lease,
    /// What to do with it.
    pub action: Action,
}

impl Settlement {
    /// What to do with a lease.
    pub fn new(lease: Lease, action: Action) -> Self {
        Self { lease, action }
    }
}

/// What to do with a leased record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It was handled.
    Done,
    /// The attempt failed: due again later.
    RetryIn {
        /// How much later.
        after: Duration,
        /// Why.
        error: String,
    },
    /// It was not attempted after all: the attempt is given back. Only after the handler's task was joined.
    Release {
        /// How long until it is due again.
        after: Duration,
    },
    /// It is given up, and kept for the operator.
    Dead {
        /// Why.
        reason: String,
    },
    /// It is forgotten: the key is free again.
    Disown,
    /// The lease goes on.
    Extend {
        /// For how long, from now.
        ttl: Duration,
    },
}

/// What became of a settlement.
///
/// Exhaustive: whoever settles must know what each answer says of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was done, or had been done under the same token.
    Applied,
    /// The lease was lost: another token was seen since.
    Stale,
    /// It could not be decided now, because somebody holds the row.
    Busy,
}
