//! What comes in.

use std::time::Duration;

use super::{
    alive::{Content, Record},
    failures::Failures,
    index::{Ending, Spot},
    state::{Inner, QueueState},
};
use crate::store::{Inserted, Queue, QueueKind, StoreError};

impl Inner {
    pub(super) fn insert(
        &mut self,
        queue: &Queue,
        place: u64,
        content: Content,
        due_in: Duration,
        now: Duration,
    ) -> Result<Inserted, StoreError> {
        let due = match queue.kind() {
            QueueKind::Quarantine => now,
            QueueKind::Events | QueueKind::Tracked => now.saturating_add(due_in),
        };
        if let Some(spot) = self.spot(place, queue, content.texts.key()) {
            let known = self.known(spot, now);
            if known.id == content.id {
                return Ok(Inserted::Fresh);
            }
            if known.rank >= content.rank {
                return Ok(Inserted::Duplicate {
                    id: known.id,
                    rank: known.rank,
                    state: known.state,
                    differs: self.differs(spot, &content),
                });
            }
            match spot {
                Spot::Alive(slot) => self.supersede(slot, content, due, now),
                Spot::Settled(ending, position) => {
                    let slot = self.revive(ending, position, content, due, now);
                    self.index.replace(place, spot, Spot::Alive(slot));
                }
            }
            return Ok(Inserted::Upgraded);
        }

        let number = self.number(queue)?;
        if queue.kind() == QueueKind::Quarantine {
            if self.limits.quarantine == 0 {
                return Ok(Inserted::Full);
            }
            let number = usize::from(number);
            // Twice, so that a lowered limit is reached step by step.
            for _ in 0..2 {
                if self.queues[number].waiting.len() >= self.limits.quarantine {
                    self.drop_oldest(number);
                    self.queues[number].dropped += 1;
                }
            }
        } else if self.pending >= self.limits.capacity {
            return Ok(Inserted::Full);
        }
        let slot = self.put(number, place, content, due, now);
        let place_of = |spot| match spot {
            Spot::Alive(slot) => self.alive.get(slot).place,
            Spot::Settled(Ending::Done, position) => self.done.get(position).hash().place,
            Spot::Settled(Ending::Dead, position) => self.dead.get(position).hash().place,
        };
        self.index.insert(place, Spot::Alive(slot), place_of);
        Ok(Inserted::Fresh)
    }

    /// A new record, outside the index.
    pub(super) fn put(
        &mut self,
        number: u16,
        place: u64,
        content: Content,
        due: Duration,
        now: Duration,
    ) -> u32 {
        let order = (due, self.next_sequence());
        let slot = self.alive.insert(Record {
            place,
            queue: number,
            content,
            born: now,
            order,
            attempt: 0,
            expiries: 0,
            serial: 0,
            settled_by: 0,
            held: None,
            failures: Failures::default(),
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
        record.failures = Failures::default();
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
    fn revive(
        &mut self,
        ending: Ending,
        position: u32,
        content: Content,
        due: Duration,
        now: Duration,
    ) -> u32 {
        let (entry, _) = self.forget(ending, position);
        let (place, number, serial) = (entry.hash().place, entry.queue(), entry.serial());
        let slot = self.put(number, place, content, due, now);
        let record = self.alive.get_mut(slot);
        record.serial = serial;
        record.settled_by = serial;
        slot
    }

    /// Forgets the oldest record of a quarantine.
    pub(super) fn drop_oldest(&mut self, number: usize) {
        let state = &mut self.queues[number];
        if let Some((_, slot)) = state.waiting.pop_first() {
            let record = self.alive.remove(slot);
            self.index.remove(record.place, Spot::Alive(slot));
        }
    }

    fn number(&mut self, queue: &Queue) -> Result<u16, StoreError> {
        let recent = self.queues.get(usize::from(self.recent));
        if recent.is_some_and(|recent| recent.queue == *queue) {
            return Ok(self.recent);
        }
        if let Some(&number) = self.names.get(queue) {
            self.recent = number;
            return Ok(number);
        }
        let number = u16::try_from(self.queues.len())
            .map_err(|_| StoreError::rejected("a memory store has at most 65,536 queues"))?;
        self.names.insert(queue.clone(), number);
        self.queues.push(QueueState::new(queue.clone()));
        Ok(number)
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}
