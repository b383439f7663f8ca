//! What is under the lock: every method here is short, and none waits.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    alive::{Content, Order, Record, Slab},
    index::{Ending, Hashes, Index, Spot},
    log::Log,
};
use crate::{
    event::Rank,
    store::{Found, LeaseToken, Queue, QueueKind, RecordId, State},
};

pub(super) struct Limits {
    pub(super) capacity: usize,
    pub(super) remembered: usize,
    pub(super) quarantine: usize,
    pub(super) bodies: usize,
}

pub(super) struct Inner {
    pub(super) limits: Limits,
    pub(super) hashes: Hashes,
    pub(super) index: Index,
    pub(super) alive: Slab,
    pub(super) done: Log,
    pub(super) dead: Log,
    /// Entries of the logs to which the index still leads.
    pub(super) remembered: usize,
    /// Alive records outside quarantine.
    pub(super) pending: usize,
    pub(super) names: HashMap<Queue, u16>,
    /// The queue of the last insert.
    pub(super) recent: u16,
    pub(super) queues: Vec<QueueState>,
    pub(super) sequence: u64,
    pub(super) serial: u64,
}

/// One queue.
pub(super) struct QueueState {
    pub(super) queue: Queue,
    /// What waits, by due time; in quarantine by arrival.
    pub(super) waiting: BTreeMap<Order, u32>,
    /// What is leased, or was and nobody has settled it, by the time when it can be leased again.
    pub(super) held: BTreeMap<Order, u32>,
    pub(super) done: u64,
    pub(super) dead: u64,
    pub(super) dropped: u64,
}

/// What the store knows of a key.
pub(super) struct Known {
    pub(super) id: RecordId,
    pub(super) rank: Rank,
    pub(super) state: State,
    /// The serial number of the last lease that was settled; 0 where there was none.
    settled_by: u64,
}

impl QueueState {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            done: 0,
            dead: 0,
            dropped: 0,
        }
    }

    pub(super) fn oldest_waiting(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|(&(at, _), _)| at)
    }

    pub(super) fn settled_mut(&mut self, ending: Ending) -> &mut u64 {
        match ending {
            Ending::Done => &mut self.done,
            Ending::Dead => &mut self.dead,
        }
    }

    pub(super) fn is_quarantine(&self) -> bool {
        self.queue.kind() == QueueKind::Quarantine
    }
}

impl Inner {
    pub(super) fn new(limits: Limits, hashes: Hashes) -> Self {
        Self {
            limits,
            hashes,
            index: Index::new(),
            alive: Slab::new(),
            done: Log::new(),
            dead: Log::new(),
            remembered: 0,
            pending: 0,
            names: HashMap::new(),
            recent: 0,
            queues: Vec::new(),
            sequence: 0,
            serial: 0,
        }
    }

    pub(super) fn find(
        &self,
        place: u64,
        queue: &Queue,
        key: &[u8],
        token: impl Fn(u64, u64) -> Option<LeaseToken>,
        now: Duration,
    ) -> Option<Found> {
        let spot = self.spot(place, queue, key)?;
        let known = self.known(spot, now);
        let found = Found::new(known.id, known.rank, known.state)
            .with_settled_by(token(place, known.settled_by));
        let (texts, failures) = match spot {
            Spot::Alive(slot) => {
                let Record {
                    content, failures, ..
                } = self.alive.get(slot);
                (&content.texts, failures)
            }
            Spot::Settled(ending, position) => match self.log(ending).payload(position) {
                Some(payload) => (&payload.texts, &payload.failures),
                None => return Some(found),
            },
        };
        let (_, body, meta) = texts.shared();
        Some(
            found
                .with_payload(body, meta)
                .with_error(failures.last_error()),
        )
    }

    pub(super) fn log(&self, ending: Ending) -> &Log {
        match ending {
            Ending::Done => &self.done,
            Ending::Dead => &self.dead,
        }
    }

    pub(super) fn log_mut(&mut self, ending: Ending) -> &mut Log {
        match ending {
            Ending::Done => &mut self.done,
            Ending::Dead => &mut self.dead,
        }
    }

    pub(super) fn queue_mut(&mut self, number: u16) -> &mut QueueState {
        &mut self.queues[usize::from(number)]
    }

    pub(super) fn spot(&self, place: u64, queue: &Queue, key: &[u8]) -> Option<Spot> {
        self.index.find(place, |spot| match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                record.place == place
                    && record.content.texts.key() == key
                    && self.queues[usize::from(record.queue)].queue == *queue
            }
            Spot::Settled(ending, position) => {
                let hash = self.log(ending).get(position).hash();
                hash.place == place && hash == self.hashes.key_at(place, queue, key)
            }
        })
    }

    /// Whether the record there has another body.
    pub(super) fn differs(&self, spot: Spot, content: &Content) -> bool {
        match spot {
            Spot::Alive(slot) => self.alive.get(slot).content.texts.body() != content.texts.body(),
            Spot::Settled(ending, position) => {
                self.log(ending).get(position).digest() != self.digest(content)
            }
        }
    }

    pub(super) fn digest(&self, content: &Content) -> u64 {
        let body = content.texts.body();
        content.digest.unwrap_or_else(|| self.hashes.body(body))
    }

    pub(super) fn known(&self, spot: Spot, now: Duration) -> Known {
        match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                Known {
                    id: record.content.id,
                    rank: record.content.rank,
                    state: record.state(now),
                    settled_by: record.settled_by,
                }
            }
            Spot::Settled(ending, position) => {
                let entry = self.log(ending).get(position);
                Known {
                    id: entry.id,
                    rank: entry.rank(),
                    state: match ending {
                        Ending::Done => State::Done,
                        Ending::Dead => State::Dead,
                    },
                    settled_by: entry.serial(),
                }
            }
        }
    }
}
