//! What is pending or leased.

use std::time::Duration;

use bytes::Bytes;

use super::failures::Failures;
use crate::{
    event::Rank,
    store::{RecordId, State},
};

/// A record that is pending or leased. All times are the store's.
pub(super) struct Record {
    /// Where the [index](super::index::Index) has it.
    pub(super) place: u64,
    pub(super) queue: u16,
    pub(super) content: Content,
    /// When it was inserted or last upgraded.
    pub(super) born: Duration,
    /// Its key in the queue's order.
    pub(super) order: Order,
    pub(super) attempt: u32,
    pub(super) expiries: u32,
    /// Of the last lease; 0 where there was none.
    pub(super) serial: u64,
    /// Of the last lease that was settled; 0 where there was none.
    pub(super) settled_by: u64,
    /// While nobody has settled the last lease, also when it has expired.
    pub(super) held: Option<Held>,
    pub(super) failures: Failures,
}

/// What an insert brings, and an upgrade replaces.
pub(super) struct Content {
    pub(super) id: RecordId,
    pub(super) rank: Rank,
    pub(super) texts: Texts,
    /// The hash of a body that is too long to be hashed under the lock.
    pub(super) digest: Option<u64>,
}

/// The key, the body and the meta of a record, one behind the other in one buffer.
pub(super) struct Texts {
    all: Bytes,
    key: usize,
    meta: usize,
}

impl Texts {
    /// Copies them: a body may be a slice of a server's big read buffer, which would stay.
    pub(super) fn new(key: &[u8], body: &[u8], meta: &[u8]) -> Self {
        Self {
            all: [key, body, meta].concat().into(),
            key: key.len(),
            meta: key.len() + body.len(),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.all[..self.key]
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.all[self.key..self.meta]
    }

    /// The key, the body and the meta, to be given away.
    pub(super) fn shared(&self) -> (Bytes, Bytes, Bytes) {
        let (key, body) = (0..self.key, self.key..self.meta);
        let part = |range| self.all.slice(range);
        (part(key), part(body), self.all.slice(self.meta..))
    }
}

/// By time, and then by sequence.
pub(super) type Order = (Duration, u64);

pub(super) struct Held {
    pub(super) until: Duration,
    /// The content is newer than the lease, and is due then, but not before the lease has ended.
    pub(super) superseded: Option<Duration>,
}

impl Held {
    /// When the record can be leased again if nobody settles it.
    pub(super) fn free_at(&self) -> Duration {
        self.superseded
            .map_or(self.until, |due| due.max(self.until))
    }
}

impl Record {
    pub(super) fn state(&self, now: Duration) -> State {
        match &self.held {
            Some(held) if held.until > now => State::Leased,
            _ => State::Pending,
        }
    }

    /// How many leases of this content will have ended by expiry if it is leased now.
    pub(super) fn expiries_if_leased(&self) -> u32 {
        match &self.held {
            // The lease that expired was one of the content before.
            Some(Held {
                superseded: Some(_),
                ..
            })
            | None => self.expiries,
            Some(_) => self.expiries.saturating_add(1),
        }
    }
}

/// Records under small numbers, in chunks, so that growth copies nothing.
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Record>>>,
    free: Vec<u32>,
}

const CHUNK: usize = 128;

const OCCUPIED: &str = "an index entry or an order entry leads to a record that is alive";

impl Slab {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        if let Some(slot) = self.free.pop() {
            *self.slot_mut(slot) = Some(record);
            return slot;
        }
        let full = self.chunks.last().is_none_or(|last| last.len() == CHUNK);
        if full {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let nth = self.chunks.len() - 1;
        let last = &mut self.chunks[nth];
        last.push(Some(record));
        u32::try_from(nth * CHUNK + last.len() - 1)
            .expect("the limits are below the range of slots")
    }

    pub(super) fn get(&self, slot: u32) -> &Record {
        let slot = slot as usize;
        let record = self.chunks[slot / CHUNK][slot % CHUNK].as_ref();
        record.expect(OCCUPIED)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Record {
        self.slot_mut(slot).as_mut().expect(OCCUPIED)
    }

    /// Every record, by its slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..)
            .zip(self.chunks.iter().flatten())
            .filter_map(|(slot, record)| Some((slot, record.as_ref()?)))
    }

    pub(super) fn remove(&mut self, slot: u32) -> Record {
        let record = self.slot_mut(slot).take().expect(OCCUPIED);
        self.free.push(slot);
        record
    }

    fn slot_mut(&mut self, slot: u32) -> &mut Option<Record> {
        let slot = slot as usize;
        &mut self.chunks[slot / CHUNK][slot % CHUNK]
    }
}
