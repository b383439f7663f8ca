//! What goes into the database and comes out of it: packed bytes, as the scripts read them.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    event::Rank,
    store::{
        LeaseToken, NewRecord, Queue, QueueKind, RecordId, State, StoreError,
        hash::{self, KeyHash},
    },
};

/// What fits into six bytes.
const MAX_MILLIS: u64 = (1 << 48) - 1;
/// What the scripts write at the front of a record.
pub(super) const HEAD: usize = 47;
/// All of a record but key, meta and body.
const HEADER: usize = 97;
/// What is remembered of a key whose body is gone.
const REMEMBERED: usize = 44;
const NO_TOKEN: [u8; 6] = [0; 6];

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&bytes[..N]);
    first
}

/// Durations in milliseconds, rounded up (nothing is due too early), and never longer than what the
/// scripts can add to their clock.
pub(super) fn millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX).min(MAX_MILLIS)
}

pub(super) fn six(millis: u64) -> [u8; 6] {
    let mut six = [0; 6];
    six.copy_from_slice(&millis.to_be_bytes()[2..]);
    six
}

/// A queue's name: one letter for its kind, and the endpoint.
pub(super) fn queue_name(queue: &Queue) -> Vec<u8> {
    let kind = match queue.kind() {
        QueueKind::Events => b'e',
        QueueKind::Tracked => b't',
        QueueKind::Quarantine => b'q',
    };
    let mut name = vec![kind];
    name.extend_from_slice(queue.endpoint().as_bytes());
    name
}

/// The queue of a name.
pub(super) fn read_queue_name(name: &[u8]) -> Result<Queue, StoreError> {
    let (kind, endpoint) = name.split_first().ok_or_else(damaged)?;
    let kind = match kind {
        b'e' => QueueKind::Events,
        b't' => QueueKind::Tracked,
        b'q' => QueueKind::Quarantine,
        _ => return Err(damaged()),
    };
    let endpoint = std::str::from_utf8(endpoint).map_err(|_| damaged())?;
    Ok(Queue::new(endpoint, kind))
}

/// All of a record but what the scripts write at its front.
pub(super) fn content(record: &NewRecord) -> Vec<u8> {
    let (key, meta, body) = (&record.key, &record.meta, &record.body);
    let mut bytes = Vec::with_capacity(HEADER - HEAD + key.len() + meta.len() + body.len());
    bytes.extend_from_slice(&record.id.to_bytes());
    bytes.extend_from_slice(&record.rank.to_be_bytes());
    bytes.extend_from_slice(&hash::digest(body).to_be_bytes());
    bytes.extend_from_slice(&hash::key_hash(&record.queue, key));
    for len in [key.len(), meta.len()] {
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
    for part in [key, meta, body] {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// What a record's token is made of: its sequence, the beginning of its key's hash, and what was
/// random at the lease. The first two say where the record is, or what is remembered of it.
fn token(seq: [u8; 6], k: &[u8], random: [u8; 6]) -> Option<LeaseToken> {
    if random == NO_TOKEN {
        return None;
    }
    let mut token = [0; 16];
    token[..6].copy_from_slice(&seq);
    token[6..10].copy_from_slice(&k[..4]);
    token[10..].copy_from_slice(&random);
    Some(LeaseToken::from_bytes(token))
}

/// The random part of a token, which is never that of no token.
pub(super) fn random_parts(count: usize) -> Vec<u8> {
    let mut random = Vec::with_capacity(count * 6);
    while random.len() < count * 6 {
        let bytes = RecordId::random().to_bytes();
        let chunks = bytes.chunks_exact(6).filter(|part| *part != NO_TOKEN);
        random.extend(chunks.flatten());
    }
    random.truncate(count * 6);
    random
}

/// A record as it is kept.
pub(super) struct Stored {
    pub(super) seq: [u8; 6],
    pub(super) state: u8,
    pub(super) attempt: u32,
    pub(super) expiries: u32,
    pub(super) born: u64,
    pub(super) until: u64,
    next: u64,
    pub(super) settled_at: u64,
    random: [u8; 6],
    settled_by: [u8; 6],
    pub(super) id: RecordId,
    pub(super) rank: Rank,
    k: KeyHash,
    pub(super) key: Bytes,
    pub(super) meta: Bytes,
    pub(super) body: Bytes,
}

impl Stored {
    /// `head` is what the front is by now, `record` what was read.
    pub(super) fn read(seq: &[u8], head: &[u8], record: Vec<u8>) -> Result<Self, StoreError> {
        if seq.len() != 6 || head.len() < HEAD || record.len() < HEADER {
            return Err(damaged());
        }
        let u32_at = |bytes: &[u8], at| u32::from_be_bytes(first(&bytes[at..]));
        let len = |at| usize::try_from(u32_at(&record, at)).unwrap_or(usize::MAX);
        let (key, meta) = (len(89), len(93));
        let lengths = HEADER
            .checked_add(key)
            .and_then(|sum| sum.checked_add(meta));
        let Some(body) = lengths.filter(|body| *body <= record.len()) else {
            return Err(damaged());
        };
        let (id, rank, k) = (
            RecordId::from_bytes(first(&record[47..])),
            Rank::from_be_bytes(first(&record[63..])),
            first(&record[73..]),
        );
        let record = Bytes::from(record);
        Ok(Self {
            seq: first(seq),
            state: head[0],
            attempt: u32_at(head, 3),
            expiries: u32_at(head, 7),
            born: u48(head, 11),
            until: u48(head, 17),
            next: u48(head, 23),
            settled_at: u48(head, 29),
            random: first(&head[35..]),
            settled_by: first(&head[41..]),
            id,
            rank,
            k,
            key: record.slice(HEADER..HEADER + key),
            meta: record.slice(HEADER + key..body),
            body: record.slice(body..),
        })
    }

    /// The same of a record that was read up to its key.
    pub(super) fn read_without_payload(
        seq: &[u8],
        head: &[u8],
        mut record: Vec<u8>,
    ) -> Result<Self, StoreError> {
        // The meta's length.
        record.get_mut(93..HEADER).ok_or_else(damaged)?.fill(0);
        Self::read(seq, head, record)
    }

    pub(super) fn key_hash(&self) -> KeyHash {
        self.k
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.state == b'Q'
    }

    /// Whether its lease has expired and nobody has counted it yet: 1 if so.
    pub(super) fn expired(&self, now: u64) -> u32 {
        u32::from(self.state == b'L' && self.until <= now && self.next == 0)
    }

    pub(super) fn state(&self, now: u64) -> State {
        match self.state {
            b'L' if self.until > now => State::Leased,
            b'D' => State::Done,
            b'X' => State::Dead,
            _ => State::Pending,
        }
    }

    pub(super) fn token(&self) -> Option<LeaseToken> {
        token(self.seq, &self.k, self.random)
    }

    /// The token of the last settlement.
    pub(super) fn settled_by(&self) -> Option<LeaseToken> {
        match self.state {
            b'L' => token(self.seq, &self.k, self.settled_by),
            _ => self.token(),
        }
    }
}

/// What is remembered of a key whose body is gone: it is done.
pub(super) struct Remembered {
    pub(super) id: RecordId,
    pub(super) rank: Rank,
    pub(super) settled_at: u64,
    pub(super) settled_by: Option<LeaseToken>,
}

impl Remembered {
    pub(super) fn read(value: &[u8], k: &[u8]) -> Result<Self, StoreError> {
        if value.len() != REMEMBERED || k.len() < 4 {
            return Err(damaged());
        }
        Ok(Self {
            settled_by: token(first(value), k, first(&value[6..])),
            settled_at: u48(value, 12),
            id: RecordId::from_bytes(first(&value[18..])),
            rank: Rank::from_be_bytes(first(&value[34..])),
        })
    }
}

pub(super) fn u48(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight[2..].copy_from_slice(&bytes[at..at + 6]);
    u64::from_be_bytes(eight)
}

/// A time up to now, of two instants of the store's clock.
pub(super) fn since(then: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(then))
}

/// A number that a script wrote as text.
pub(super) fn number(text: &[u8]) -> Result<u64, StoreError> {
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(damaged)
}

/// Why an attempt failed, as `settle.lua` packs it behind its time and number.
pub(super) fn failure_text(failure: &[u8]) -> Option<&str> {
    std::str::from_utf8(failure.get(10..)?).ok()
}

/// What this crate did not write.
pub(super) fn damaged() -> StoreError {
    StoreError::unavailable("the database holds something that this store did not write")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_and_fit_into_six_bytes() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(2)), 2);
        assert_eq!(six(millis(Duration::MAX)), [255; 6]);
    }

    #[test]
    fn a_record_comes_back_from_its_bytes() {
        let record = NewRecord::new(Queue::events("e"), &b"k\0ey"[..], &b"bo\r\ndy"[..])
            .with_rank(513)
            .with_meta(&b"{}"[..]);
        let mut bytes = vec![0; HEAD];
        bytes[0] = b'P';
        bytes.extend(content(&record));
        let head = bytes.clone();
        let stored = Stored::read(&[0, 0, 0, 0, 0, 7], &head, bytes).unwrap();
        assert_eq!((stored.id, stored.rank), (record.id, 513));
        assert_eq!((&stored.key, &stored.meta), (&record.key, &record.meta));
        assert_eq!(stored.body, record.body);
        assert_eq!(stored.state(0), State::Pending);
        assert_eq!(stored.settled_by(), None);
        assert!(Stored::read(&[0; 6], &head, head[..HEADER + 3].to_vec()).is_err());
    }

    #[test]
    fn every_token_has_its_random_part() {
        let parts = random_parts(1000);
        assert_eq!(parts.len(), 6000);
        assert!(parts.chunks(6).all(|part| part != NO_TOKEN));
    }
}
