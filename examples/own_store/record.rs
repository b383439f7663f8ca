//! What is kept of an event, and how it is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_callback::{
    BoxError,
    store::{Found, LeaseToken, Queue, QueueKind, RecordId, State},
};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    pub(super) id: [u8; 16],
    pub(super) rank: u16,
    /// Of the body, which is forgotten before the key.
    pub(super) digest: u64,
    /// The queue's, or `quarantine`, `done`, `remembered` (done, without the body) or `dead`.
    pub(super) list: String,
    /// When it is due, its lease ends, or it was settled.
    pub(super) at: u64,
    /// Until it is settled or leased again, however late that is.
    pub(super) leased: bool,
    /// When this content is due, if it came while the one before it was leased.
    pub(super) newer: Option<u64>,
    pub(super) born: u64,
    pub(super) attempt: u32,
    pub(super) expiries: u32,
    pub(super) token: Option<[u8; 16]>,
    pub(super) settled_by: Option<[u8; 16]>,
    pub(super) error: Option<String>,
    /// Meta and body, apart from the rest.
    #[serde(skip)]
    pub(super) payload: (Vec<u8>, Vec<u8>),
}

impl Record {
    /// The time under which it is listed. An upgrade is not due before the lease has ended.
    pub(super) fn time(&self) -> u64 {
        self.at.max(self.newer.unwrap_or(0))
    }

    pub(super) fn names(&self, now: u64) -> (RecordId, u16, State) {
        let state = match &*self.list {
            "done" | "remembered" => State::Done,
            "dead" => State::Dead,
            _ if self.leased && self.at > now => State::Leased,
            _ => State::Pending,
        };
        (RecordId::from_bytes(self.id), self.rank, state)
    }

    pub(super) fn found(self, now: u64) -> Found {
        let (id, rank, state) = self.names(now);
        let found = Found::new(id, rank, state)
            .with_settled_by(self.settled_by.map(LeaseToken::from_bytes))
            .with_error(self.error.as_deref());
        if self.list == "remembered" {
            return found;
        }
        let (meta, body) = self.payload;
        found.with_payload(body, meta)
    }
}

/// No kind has a colon, so no two queues have one name.
pub(super) fn list(queue: &Queue) -> String {
    match queue.kind() {
        QueueKind::Quarantine => "quarantine".to_owned(),
        kind => format!("{}:{}", kind.as_str(), queue.endpoint()),
    }
}

/// Of the parts with their lengths: nothing of one can be taken for another.
pub(super) fn hash(queue: &Queue, key: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    for part in [
        queue.kind().as_str().as_bytes(),
        queue.endpoint().as_bytes(),
        key,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    locator(&hash.finalize())
}

pub(super) fn digest(body: &[u8]) -> u64 {
    locator(&Sha256::digest(body))
}

/// A number from the first eight bytes.
pub(super) fn locator(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|n| bytes[n]))
}

/// The time of day in nanoseconds: enough for six hundred years.
pub(super) fn wall() -> Result<u64, BoxError> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since_epoch.as_nanos())?)
}

/// The longest durations end at the end of time.
pub(super) fn later(time: u64, duration: Duration) -> u64 {
    time.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}
