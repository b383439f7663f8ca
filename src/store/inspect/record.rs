//! What is known of one record.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    event::Rank,
    store::{RecordId, State},
};

/// What a list tells of a record: all but its body, its meta and its history.
///
/// Times are durations up to the moment when the store was asked, on the store's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The record.
    pub id: RecordId,
    /// Its state.
    pub state: State,
    /// Its rank.
    pub rank: Rank,
    /// The event's key, while it is kept: what is done keeps it as long as its body, and is
    /// remembered by a hash afterwards.
    pub key: Option<Bytes>,
    /// How many attempts were begun since the insert, the last upgrade or requeue. Zero where the
    /// body is not kept any more.
    pub attempts: u32,
    /// How many leases ended by expiry in that time. Zero where the body is not kept any more.
    pub expiries: u32,
    /// Since the insert, the last upgrade or requeue, while the body is kept.
    pub age: Option<Duration>,
    /// How long until it may be leased: zero when it is due, and for what is leased until the lease
    /// ends. `None` for what is settled or in quarantine.
    pub due_in: Option<Duration>,
    /// How long ago it was settled, for what is done or dead.
    pub settled: Option<Duration>,
    /// Why the last attempt failed, or why it was given up, while it is kept.
    pub error: Option<String>,
}

impl Summary {
    /// A record of which only this is known.
    pub fn new(id: RecordId, rank: Rank, state: State) -> Self {
        Self {
            id,
            state,
            rank,
            key: None,
            attempts: 0,
            expiries: 0,
            age: None,
            due_in: None,
            settled: None,
            error: None,
        }
    }

    /// With the event's key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With the counts that the store keeps.
    #[must_use]
    pub fn with_history(mut self, attempts: u32, expiries: u32, age: Duration) -> Self {
        self.attempts = attempts;
        self.expiries = expiries;
        self.age = Some(age);
        self
    }

    /// Of what is pending or leased: how long until it may be leased.
    #[must_use]
    pub fn with_due_in(mut self, due_in: Duration) -> Self {
        self.due_in = Some(due_in);
        self
    }

    /// Of what is done or dead: how long ago it was settled.
    #[must_use]
    pub fn with_settled(mut self, ago: Duration) -> Self {
        self.settled = Some(ago);
        self
    }

    /// With the last error.
    #[must_use]
    pub fn with_error(mut self, error: Option<&str>) -> Self {
        self.error = error.map(str::to_owned);
        self
    }
}

/// Everything that a store knows of one record.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What a list tells of it too.
    pub summary: Summary,
    /// The body, while it is kept.
    pub body: Option<Bytes>,
    /// What the library keeps beside it, as JSON, while it is kept.
    pub meta: Option<Bytes>,
    /// The attempts that failed, the newest first, and at most
    /// [`MAX_FAILURES`](Self::MAX_FAILURES) of them. An upgrade begins a new history, a requeue does not.
    pub failures: Vec<FailedAttempt>,
}

impl Record {
    /// How many failed attempts a store remembers of a record. With the default policy of retries
    /// they reach back for hours, and an error that is told sixteen times needs no seventeenth.
    pub const MAX_FAILURES: usize = 16;

    /// A record without payload and failures.
    pub fn new(summary: Summary) -> Self {
        Self {
            summary,
            body: None,
            meta: None,
            failures: Vec::new(),
        }
    }

    /// With body and meta.
    #[must_use]
    pub fn with_payload(mut self, body: impl Into<Bytes>, meta: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.meta = Some(meta.into());
        self
    }

    /// With the attempts that failed, the newest first.
    #[must_use]
    pub fn with_failures(mut self, failures: Vec<FailedAttempt>) -> Self {
        self.failures = failures;
        self
    }
}

/// Without the body and the headers in the meta, which may hold what no log should.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("summary", &self.summary)
            .field("body_len", &self.body.as_ref().map(Bytes::len))
            .field("meta_len", &self.meta.as_ref().map(Bytes::len))
            .field("failures", &self.failures)
            .finish()
    }
}

/// An attempt that came to nothing: one that was settled with an error, or was the last one.
///
/// A lease that ended by expiry left nobody to tell an error, and is counted only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// How long ago it was settled.
    pub ago: Duration,
    /// Why it failed.
    pub error: String,
}

impl FailedAttempt {
    /// An attempt that failed.
    pub fn new(attempt: u32, ago: Duration, error: impl Into<String>) -> Self {
        Self {
            attempt,
            ago,
            error: error.into(),
        }
    }
}
