//! Who waits for the next batch.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::oneshot;

use super::{Limits, batch::Batch, seat::Seat};
use crate::store::{Inserted, NewRecord, StoreError};

/// The records that wait, first come, first served, and the count of seats that are taken.
#[derive(Default)]
pub(super) struct Queue {
    /// By ticket, so that whoever leaves is found among thousands.
    waiting: BTreeMap<Ticket, Waiting>,
    bytes: usize,
    next: u64,
    pub(super) seats_taken: usize,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A record that waits, and where its answer goes.
pub(super) struct Waiting {
    pub(super) record: NewRecord,
    /// Of its caller's patience.
    pub(super) deadline: Duration,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What a waiter is told.
pub(super) enum Reply {
    /// What became of its record.
    Answer(Result<Inserted, StoreError>),
    /// Its record back, and the seat of a task that died.
    Handed(Box<Handed>),
}

/// What makes a waiter start a task that writes, its own record first.
pub(super) struct Handed {
    pub(super) record: NewRecord,
    pub(super) deadline: Duration,
    pub(super) seat: Seat,
}

impl Waiting {
    pub(super) fn new(record: NewRecord, deadline: Duration) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let waiting = Self {
            record,
            deadline,
            reply,
        };
        (waiting, receiver)
    }

    fn bytes(&self) -> usize {
        let NewRecord {
            key, body, meta, ..
        } = &self.record;
        key.len() + body.len() + meta.len()
    }
}

impl Queue {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.bytes == 0
    }

    /// Whether there is room. An empty queue has room for a record of any size.
    pub(super) fn has_room_for(&self, waiting: &Waiting, limits: &Limits) -> bool {
        self.waiting.is_empty()
            || self.waiting.len() < limits.queue_records
                && self.bytes.saturating_add(waiting.bytes()) <= limits.queue_bytes
    }

    /// Adds a record behind all others.
    pub(super) fn push(&mut self, waiting: Waiting) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.put_back(ticket, waiting);
        ticket
    }

    /// Puts a record where it was.
    pub(super) fn put_back(&mut self, ticket: Ticket, waiting: Waiting) {
        self.bytes += waiting.bytes();
        self.waiting.insert(ticket, waiting);
    }

    /// Takes a record out, if it still waits.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.bytes -= waiting.bytes();
        Some(waiting)
    }

    /// Takes the first one out.
    pub(super) fn take_first(&mut self) -> Option<Waiting> {
        let (_, waiting) = self.waiting.pop_first()?;
        self.bytes -= waiting.bytes();
        Some(waiting)
    }

    /// Moves as many records into an empty batch as it may have. False when nobody waits.
    pub(super) fn fill(&mut self, batch: &mut Batch, limits: &Limits) -> bool {
        let mut bytes = 0_usize;
        while batch.len() < limits.batch_records {
            let Some(first) = self.waiting.first_entry() else {
                break;
            };
            bytes = bytes.saturating_add(first.get().bytes());
            if bytes > limits.batch_bytes && !batch.is_empty() {
                break;
            }
            let waiting = first.remove();
            self.bytes -= waiting.bytes();
            batch.push(waiting);
        }
        !batch.is_empty()
    }
}
