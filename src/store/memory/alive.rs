//! What is pending or leased.

use std::time::Duration;

use bytes::Bytes;

use super::{failures::Failures, index::KeyHash};
use crate::{
    event::Rank,
    store::{RecordId, State},
};

/// A record that is pending or leased. All times are the store's.
pub(super) struct Record {
    pub(super) hash: KeyHash,
    pub(super) queue: u16,
    pub(super) key: Bytes,
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
    pub(super) digest: u64,
    pub(super) body: Bytes,
    pub(super) meta: Bytes,
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

/// Records under small numbers. Boxed, so that growth copies pointers only.
pub(super) struct Slab {
    slots: Vec<Option<Box<Record>>>,
    free: Vec<u32>,
}

const OCCUPIED: &str = "an index entry or an order entry leads to a record that is alive";

impl Slab {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        let record = Some(Box::new(record));
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = record;
            return slot;
        }
        self.slots.push(record);
        u32::try_from(self.slots.len() - 1).expect("the limits are below the range of slots")
    }

    pub(super) fn get(&self, slot: u32) -> &Record {
        self.slots[slot as usize].as_ref().expect(OCCUPIED)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Record {
        self.slots[slot as usize].as_mut().expect(OCCUPIED)
    }

    /// Every record, by its slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(slot, record)| Some((slot, record.as_deref()?)))
    }

    pub(super) fn remove(&mut self, slot: u32) -> Record {
        let record = self.slots[slot as usize].take().expect(OCCUPIED);
        self.free.push(slot);
        *record
    }
}
