//! An event in a store, on its way in.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{LeaseToken, RecordId};
use crate::event::Rank;

/// Where a record belongs: the endpoint's name, and what kind of record it is. Nothing crosses queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    endpoint: Arc<str>,
    kind: QueueKind,
}

impl Queue {
    /// A queue of an endpoint.
    pub fn new(endpoint: impl Into<Arc<str>>, kind: QueueKind) -> Self {
        Self {
            endpoint: endpoint.into(),
            kind,
        }
    }

    /// The endpoint's events.
    pub fn events(endpoint: impl Into<Arc<str>>) -> Self {
        Self::new(endpoint, QueueKind::Events)
    }

    /// The endpoint's tracked tasks.
    pub fn tracked(endpoint: impl Into<Arc<str>>) -> Self {
        Self::new(endpoint, QueueKind::Tracked)
    }

    /// What proven callers of the endpoint sent and nobody could read.
    pub fn quarantine(endpoint: impl Into<Arc<str>>) -> Self {
        Self::new(endpoint, QueueKind::Quarantine)
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same, to be shared.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.endpoint
    }

    /// The kind.
    pub fn kind(&self) -> QueueKind {
        self.kind
    }
}

/// The three kinds of records of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueKind {
    /// Events, for the handler.
    Events,
    /// Tasks that were submitted, and whose event must come.
    Tracked,
    /// What could not be read. Never leased; it has an age and a count of its own, and drops its
    /// oldest record when it is full.
    Quarantine,
}

impl QueueKind {
    /// The word for databases and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Tracked => "tracked",
            Self::Quarantine => "quarantine",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Events, Self::Tracked, Self::Quarantine]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A record to insert.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewRecord {
    /// Chosen at random: inserting the same id again is the same insert.
    pub id: RecordId,
    /// Where it belongs.
    pub queue: Queue,
    /// Which records are the same: bytes, never collated text.
    pub key: Bytes,
    /// Which of them wins.
    pub rank: Rank,
    /// The body of the callback.
    pub body: Bytes,
    /// What the library keeps beside it: at most 16 KiB, opaque to the store.
    pub meta: Bytes,
    /// How long until it is due.
    pub due_in: Duration,
}

impl NewRecord {
    /// A record with an id of its own, rank 0, no meta, due at once.
    pub fn new(queue: Queue, key: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        Self {
            id: RecordId::of_next_record(),
            queue,
            key: key.into(),
            rank: 0,
            body: body.into(),
            meta: Bytes::new(),
            due_in: Duration::ZERO,
        }
    }

    /// With a rank.
    #[must_use]
    pub fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// With meta.
    #[must_use]
    pub fn with_meta(mut self, meta: impl Into<Bytes>) -> Self {
        self.meta = meta.into();
        self
    }

    /// Due later.
    #[must_use]
    pub fn with_due_in(mut self, due_in: Duration) -> Self {
        self.due_in = due_in;
        self
    }
}

/// Without the body and the headers in the meta, which may hold what no log should.
impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("id", &self.id)
            .field("queue", &self.queue)
            .field("key", &self.key)
            .field("rank", &self.rank)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("meta", &format_args!("{} bytes", self.meta.len()))
            .field("due_in", &self.due_in)
            .finish()
    }
}

/// What became of an insert.
///
/// Exhaustive: whoever calls a store must know what to do with each answer, so a new one breaks the
/// contract anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The key is now this record's.
    Fresh,
    /// The key was known with a lower rank, and is now this record's.
    Upgraded,
    /// The key was known with the same rank or a higher one. Nothing was changed.
    Duplicate {
        /// The record that has the key.
        id: RecordId,
        /// Its rank.
        rank: Rank,
        /// Its state.
        state: State,
        /// Whether its body was another one.
        differs: bool,
    },
    /// There is no room for new records.
    Full,
    /// The record to upgrade is held by somebody's open transaction.
    Busy,
}

/// The state of a record.
///
/// Exhaustive: the states are the contract of a store, and a fifth would be another contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting. Also a record whose lease has expired.
    Pending,
    /// In somebody's hands.
    Leased,
    /// Handled.
    Done,
    /// Given up.
    Dead,
}

impl State {
    /// The word for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

/// What is known of a key.
#[derive(Clone)]
#[non_exhaustive]
pub struct Found {
    /// The record that has the key.
    pub id: RecordId,
    /// Its rank.
    pub rank: Rank,
    /// Its state.
    pub state: State,
    /// The token under which it was last settled, while it is remembered.
    pub settled_by: Option<LeaseToken>,
    /// The body, while it is kept.
    pub body: Option<Bytes>,
    /// What the library keeps beside it, while it is kept.
    pub meta: Option<Bytes>,
    /// Why the last attempt failed, or why it was given up, while it is kept.
    pub error: Option<String>,
}

impl Found {
    /// A record of which only this is known.
    pub fn new(id: RecordId, rank: Rank, state: State) -> Self {
        Self {
            id,
            rank,
            state,
            settled_by: None,
            body: None,
            meta: None,
            error: None,
        }
    }

    /// With the token of the last settlement.
    #[must_use]
    pub fn with_settled_by(mut self, token: Option<LeaseToken>) -> Self {
        self.settled_by = token;
        self
    }

    /// With body and meta.
    #[must_use]
    pub fn with_payload(mut self, body: impl Into<Bytes>, meta: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.meta = Some(meta.into());
        self
    }

    /// With the last error.
    #[must_use]
    pub fn with_error(mut self, error: Option<&str>) -> Self {
        self.error = error.map(str::to_owned);
        self
    }
}

/// Without the body and the headers in the meta, which may hold what no log should.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("id", &self.id)
            .field("rank", &self.rank)
            .field("state", &self.state)
            .field("settled_by", &self.settled_by)
            .field("body_len", &self.body.as_ref().map(Bytes::len))
            .field("meta_len", &self.meta.as_ref().map(Bytes::len))
            .field("error", &self.error)
            .finish()
    }
}
