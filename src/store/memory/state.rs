//! What is under the lock: every method here is short, and none waits.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

use super::{
    alive::{Content, Held, Order, Record, Slab},
    index::{Index, KeyHash, Spot},
    log::{Entry, Log, Payload},
};
use crate::{
    event::Rank,
    store::{
        Counts, Found, Inserted, Lease, LeaseToken, Leased, Queue, QueueKind, RecordId, State,
        StoreError,
    },
};

pub(super) struct Limits {
    pub(super) capacity: usize,
    pub(super) remembered: usize,
    pub(super) quarantine: usize,
    pub(super) bodies: usize,
}

pub(super) struct Inner {
    pub(super) limits: Limits,
    pub(super) index: Index,
    pub(super) alive: Slab,
    pub(super) done: Log,
    pub(super) dead: Log,
    /// Entries of the logs to which the index still leads.
    pub(super) remembered: usize,
    /// Alive records outside quarantine.
    pub(super) pending: usize,
    names: HashMap<Queue, u16>,
    pub(super) queues: Vec<QueueState>,
    sequence: u64,
    pub(super) serial: u64,
}

/// One queue.
pub(super) struct QueueState {
    queue: Queue,
    /// What waits, by due time; in quarantine by arrival.
    pub(super) waiting: BTreeMap<Order, u32>,
    /// What is leased, or was and nobody has settled it, by the time when it can be leased again.
    pub(super) held: BTreeMap<Order, u32>,
    pub(super) done: u64,
    pub(super) dead: u64,
    dropped: u64,
}

/// What the store knows of a key.
struct Known {
    id: RecordId,
    rank: Rank,
    state: State,
    digest: u64,
}

impl QueueState {
    pub(super) fn is_quarantine(&self) -> bool {
        self.queue.kind() == QueueKind::Quarantine
    }
}

impl Inner {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            index: Index::new(),
            alive: Slab::new(),
            done: Log::new(),
            dead: Log::new(),
            remembered: 0,
            pending: 0,
            names: HashMap::new(),
            queues: Vec::new(),
            sequence: 0,
            serial: 0,
        }
    }

    pub(super) fn insert(
        &mut self,
        queue: &Queue,
        hash: KeyHash,
        key: Bytes,
        content: Content,
        due_in: Duration,
        now: Duration,
    ) -> Result<Inserted, StoreError> {
        let due = match queue.kind() {
            QueueKind::Quarantine => now,
            QueueKind::Events | QueueKind::Tracked => now.saturating_add(due_in),
        };
        if let Some(spot) = self.spot(hash, queue, &key) {
            let known = self.known(spot, now);
            if known.id == content.id {
                return Ok(Inserted::Fresh);
            }
            if known.rank >= content.rank {
                return Ok(Inserted::Duplicate {
                    id: known.id,
                    rank: known.rank,
                    state: known.state,
                    differs: known.digest != content.digest,
                });
            }
            match spot {
                Spot::Alive(slot) => self.supersede(slot, content, due, now),
                Spot::Done(_) | Spot::Dead(_) => self.revive(spot, key, content, due, now),
            }
            return Ok(Inserted::Upgraded);
        }

        let number = self.number(queue)?;
        if queue.kind() == QueueKind::Quarantine {
            if self.limits.quarantine == 0 {
                return Ok(Inserted::Full);
            }
            // Twice, so that a lowered limit is reached step by step.
            for _ in 0..2 {
                if self.queues[usize::from(number)].waiting.len() >= self.limits.quarantine {
                    self.drop_oldest(number);
                    self.queues[usize::from(number)].dropped += 1;
                }
            }
        } else if self.pending >= self.limits.capacity {
            return Ok(Inserted::Full);
        }
        let slot = self.put(number, hash, key, content, due, now);
        let Self {
            index,
            alive,
            done,
            dead,
            ..
        } = self;
        index.insert(hash.place, Spot::Alive(slot), |spot| match spot {
            Spot::Alive(slot) => alive.get(slot).hash.place,
            Spot::Done(position) => done.get(position).hash().place,
            Spot::Dead(position) => dead.get(position).hash().place,
        });
        Ok(Inserted::Fresh)
    }

    pub(super) fn find(
        &self,
        hash: KeyHash,
        queue: &Queue,
        key: &[u8],
        token: impl Fn(KeyHash, u64) -> Option<LeaseToken>,
        now: Duration,
    ) -> Option<Found> {
        let spot = self.spot(hash, queue, key)?;
        let known = self.known(spot, now);
        let found = Found::new(known.id, known.rank, known.state);
        let (serial, payload) = match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                return Some(
                    found
                        .with_settled_by(token(hash, record.settled_by))
                        .with_payload(record.content.body.clone(), record.content.meta.clone())
                        .with_error(record.error.as_deref()),
                );
            }
            Spot::Done(position) => (
                self.done.get(position).serial(),
                self.done.payload(position),
            ),
            Spot::Dead(position) => (
                self.dead.get(position).serial(),
                self.dead.payload(position),
            ),
        };
        let found = found.with_settled_by(token(hash, serial));
        Some(match payload {
            Some(payload) => found
                .with_payload(payload.body.clone(), payload.meta.clone())
                .with_error(payload.error.as_deref()),
            None => found,
        })
    }

    /// Leases what is due next. `alone` says that it may be a suspect.
    pub(super) fn lease_next(
        &mut self,
        queue: &Queue,
        until: Duration,
        alone: bool,
        token: impl Fn(KeyHash, u64) -> LeaseToken,
        now: Duration,
    ) -> Option<Leased> {
        let number = *self.names.get(queue)?;
        let state = &mut self.queues[usize::from(number)];
        if state.is_quarantine() {
            return None;
        }
        let waiting = state
            .waiting
            .first_key_value()
            .map(|(&order, &slot)| (order, slot));
        let held = state
            .held
            .first_key_value()
            .map(|(&order, &slot)| (order, slot));
        let (order, slot) = match (waiting, held) {
            (Some(waiting), Some(held)) => waiting.min(held),
            (waiting, held) => waiting.or(held)?,
        };
        if order.0 > now {
            return None;
        }
        let record = self.alive.get_mut(slot);
        let expiries = record.expiries_if_leased();
        if expiries > 0 && !alone {
            return None;
        }
        if record.held.is_some() {
            state.held.remove(&order);
        } else {
            state.waiting.remove(&order);
        }
        self.serial += 1;
        record.serial = self.serial;
        record.expiries = expiries;
        record.attempt = record.attempt.saturating_add(1);
        record.held = Some(Held {
            until,
            superseded: None,
        });
        record.order = (until, order.1);
        state.held.insert(record.order, slot);

        let lease = Lease::new(
            state.queue.clone(),
            record.content.id,
            token(record.hash, record.serial),
        );
        Some(
            Leased::new(
                lease,
                record.key.clone(),
                record.content.rank,
                record.content.body.clone(),
                record.content.meta.clone(),
            )
            .with_history(
                record.attempt,
                record.expiries,
                now.saturating_sub(record.born),
            ),
        )
    }

    pub(super) fn counts(&self, queue: &Queue, now: Duration) -> Counts {
        let Some(&number) = self.names.get(queue) else {
            return Counts::default();
        };
        let state = &self.queues[usize::from(number)];
        let alive = state.waiting.len() + state.held.len();
        let leased = state
            .held
            .values()
            .filter(|&&slot| self.alive.get(slot).state(now) == State::Leased)
            .count();
        let mut counts = Counts::default();
        counts.pending = (alive - leased) as u64;
        counts.leased = leased as u64;
        counts.done = state.done;
        counts.dead = state.dead;
        counts.dropped = state.dropped;
        counts
    }

    /// Forgets the oldest record of a quarantine.
    pub(super) fn drop_oldest(&mut self, number: u16) {
        let state = &mut self.queues[usize::from(number)];
        if let Some((_, slot)) = state.waiting.pop_first() {
            let record = self.alive.remove(slot);
            self.index.remove(record.hash.place, Spot::Alive(slot));
        }
    }

    /// Moves a record that is in no order any more to the log of `to`.
    pub(super) fn remember(&mut self, slot: u32, to: State, now: Duration) {
        let record = self.alive.remove(slot);
        self.pending -= 1;
        let entry = Entry::new(
            record.hash,
            record.content.id,
            record.content.digest,
            record.serial,
            now,
            record.content.rank,
            record.queue,
        );
        let payload = Payload {
            body: record.content.body,
            meta: record.content.meta,
            error: record.error,
        };
        let state = &mut self.queues[usize::from(record.queue)];
        let spot = if to == State::Dead {
            state.dead += 1;
            Spot::Dead(self.dead.push(entry, payload, self.limits.bodies))
        } else {
            state.done += 1;
            Spot::Done(self.done.push(entry, payload, self.limits.bodies))
        };
        self.index
            .replace(record.hash.place, Spot::Alive(slot), spot);
        self.remembered += 1;
        self.forget_surplus();
    }

    /// Forgets the oldest while there are too many. Entries of records that live again may lie
    /// before it: they are swept a few at a time.
    fn forget_surplus(&mut self) {
        for _ in 0..64 {
            let entries = self.done.len() + self.dead.len();
            if self.remembered <= self.limits.remembered
                && entries <= self.limits.remembered.saturating_mul(2)
            {
                return;
            }
            let dead_is_older = match (self.done.oldest(), self.dead.oldest()) {
                (Some(done), Some(dead)) => dead < done,
                (done, _) => done.is_none(),
            };
            self.forget_oldest(if dead_is_older {
                State::Dead
            } else {
                State::Done
            });
        }
    }

    /// Forgets the oldest of a log. Whether it was remembered.
    pub(super) fn forget_oldest(&mut self, which: State) -> bool {
        let dead = which == State::Dead;
        let log = if dead { &mut self.dead } else { &mut self.done };
        let Some((hash, queue, position)) = log.pop() else {
            return false;
        };
        let spot = if dead {
            Spot::Dead(position)
        } else {
            Spot::Done(position)
        };
        let remembered = self.index.remove(hash.place, spot);
        if remembered {
            self.remembered -= 1;
            let state = &mut self.queues[usize::from(queue)];
            if dead {
                state.dead -= 1;
            } else {
                state.done -= 1;
            }
        }
        remembered
    }

    fn spot(&self, hash: KeyHash, queue: &Queue, key: &[u8]) -> Option<Spot> {
        self.index.find(hash.place, |spot| match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                record.hash == hash
                    && record.key == key
                    && self.queues[usize::from(record.queue)].queue == *queue
            }
            Spot::Done(position) => self.done.get(position).hash() == hash,
            Spot::Dead(position) => self.dead.get(position).hash() == hash,
        })
    }

    fn known(&self, spot: Spot, now: Duration) -> Known {
        let (entry, state) = match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                return Known {
                    id: record.content.id,
                    rank: record.content.rank,
                    state: record.state(now),
                    digest: record.content.digest,
                };
            }
            Spot::Done(position) => (self.done.get(position), State::Done),
            Spot::Dead(position) => (self.dead.get(position), State::Dead),
        };
        Known {
            id: entry.id,
            rank: entry.rank(),
            state,
            digest: entry.digest(),
        }
    }

    fn number(&mut self, queue: &Queue) -> Result<u16, StoreError> {
        if let Some(&number) = self.names.get(queue) {
            return Ok(number);
        }
        let number = u16::try_from(self.queues.len())
            .map_err(|_| StoreError::rejected("a memory store has at most 65,536 queues"))?;
        self.names.insert(queue.clone(), number);
        self.queues.push(QueueState {
            queue: queue.clone(),
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            done: 0,
            dead: 0,
            dropped: 0,
        });
        Ok(number)
    }

    /// A new record, outside the index.
    fn put(
        &mut self,
        number: u16,
        hash: KeyHash,
        key: Bytes,
        content: Content,
        due: Duration,
        now: Duration,
    ) -> u32 {
        let order = (due, self.next_sequence());
        let slot = self.alive.insert(Record {
            hash,
            queue: number,
            key,
            content,
            born: now,
            order,
            attempt: 0,
            expiries: 0,
            serial: 0,
            settled_by: 0,
            held: None,
            error: None,
        });
        let state = &mut self.queues[usize::from(number)];
        state.waiting.insert(order, slot);
        if !state.is_quarantine() {
            self.pending += 1;
        }
        slot
    }

    /// Gives an alive record new content. A lease stays good until it is settled or taken over.
    fn supersede(&mut self, slot: u32, content: Content, due: Duration, now: Duration) {
        let sequence = self.next_sequence();
        let record = self.alive.get_mut(slot);
        let state = &mut self.queues[usize::from(record.queue)];
        record.content = content;
        record.born = now;
        record.attempt = 0;
        record.expiries = 0;
        record.error = None;
        if let Some(held) = &mut record.held {
            state.held.remove(&record.order);
            held.superseded = Some(due);
            record.order = (held.free_at(), sequence);
            state.held.insert(record.order, slot);
        } else {
            state.waiting.remove(&record.order);
            record.order = (due, sequence);
            state.waiting.insert(record.order, slot);
        }
    }

    /// Gives a settled record new content. It lives again even when the store is full: an upgrade is
    /// no new record.
    fn revive(&mut self, spot: Spot, key: Bytes, content: Content, due: Duration, now: Duration) {
        let (log, position, dead) = match spot {
            Spot::Dead(position) => (&mut self.dead, position, true),
            Spot::Done(position) | Spot::Alive(position) => (&mut self.done, position, false),
        };
        let entry = log.get(position);
        let (hash, number, serial) = (entry.hash(), entry.queue(), entry.serial());
        log.drop_payload(position);
        self.remembered -= 1;
        let state = &mut self.queues[usize::from(number)];
        if dead {
            state.dead -= 1;
        } else {
            state.done -= 1;
        }
        let slot = self.put(number, hash, key, content, due, now);
        let record = self.alive.get_mut(slot);
        record.serial = serial;
        record.settled_by = serial;
        self.index.replace(hash.place, spot, Spot::Alive(slot));
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}
