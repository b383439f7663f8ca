//! What operators ask for, and what they tell.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    alive::{Content, Record as Alive},
    index::{Ending, Spot},
    log::short,
    state::Inner,
};
use crate::store::{
    Queue, RecordId, State,
    inspect::{Counts, Deleted, Record, Requeued, Summary},
};

impl Inner {
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
        let held = state.held.first_key_value().map(|(&(at, _), _)| at);
        let first_due = state.oldest_waiting().into_iter().chain(held).min();
        Counts {
            pending: (alive - leased) as u64,
            leased: leased as u64,
            done: state.done,
            dead: state.dead,
            dropped: state.dropped,
            oldest_due: first_due.and_then(|due| now.checked_sub(due)),
        }
    }

    pub(super) fn look(&self, queue: &Queue, id: RecordId, now: Duration) -> Option<Record> {
        let spot = *self.locate(queue, &[id]).get(&id)?;
        let record = Record::new(self.summary(spot, now));
        Some(match spot {
            Spot::Alive(slot) => {
                let Alive {
                    content, failures, ..
                } = self.alive.get(slot);
                let (_, body, meta) = content.texts.shared();
                record
                    .with_payload(body, meta)
                    .with_failures(failures.told(now))
            }
            Spot::Settled(ending, position) => match self.log(ending).payload(position) {
                Some(payload) => {
                    let (_, body, meta) = payload.texts.shared();
                    record
                        .with_payload(body, meta)
                        .with_failures(payload.failures.told(now))
                }
                None => record,
            },
        })
    }

    pub(super) fn requeue(
        &mut self,
        queue: &Queue,
        ids: &[RecordId],
        now: Duration,
    ) -> Vec<Requeued> {
        let mut spots = self.locate(queue, ids);
        let requeue = |id| {
            let Some(spot) = spots.get_mut(id) else {
                return Requeued::Unknown;
            };
            match *spot {
                Spot::Alive(slot) => match self.alive.get(slot).state(now) {
                    State::Leased => Requeued::Leased,
                    _ => Requeued::Pending,
                },
                Spot::Settled(ending, position) => match self.requeue_one(ending, position, now) {
                    Some(slot) => {
                        *spot = Spot::Alive(slot);
                        Requeued::Applied
                    }
                    None => Requeued::Gone,
                },
            }
        };
        ids.iter().map(requeue).collect()
    }

    /// The slot where a settled record lives again, if its body is kept.
    fn requeue_one(&mut self, ending: Ending, position: u32, now: Duration) -> Option<u32> {
        self.log(ending).payload(position)?;
        let (entry, payload) = self.forget(ending, position);
        let payload = payload?;
        let content = Content {
            id: entry.id,
            rank: entry.rank(),
            texts: payload.texts,
            digest: Some(entry.digest()),
        };
        // No serial number: the tokens from before are nobody's any more.
        let place = entry.hash().place;
        let slot = self.put(entry.queue(), place, content, now, now);
        self.alive.get_mut(slot).failures = payload.failures;
        let spot = Spot::Settled(ending, position);
        self.index.replace(place, spot, Spot::Alive(slot));
        Some(slot)
    }

    pub(super) fn delete(
        &mut self,
        queue: &Queue,
        ids: &[RecordId],
        now: Duration,
    ) -> Vec<Deleted> {
        let mut spots = self.locate(queue, ids);
        let delete = |id| {
            let Some(&spot) = spots.get(id) else {
                return Deleted::Unknown;
            };
            let place = match spot {
                Spot::Alive(slot) => {
                    if self.alive.get(slot).state(now) == State::Leased {
                        return Deleted::Leased;
                    }
                    self.delete_alive(slot)
                }
                Spot::Settled(ending, position) => self.forget(ending, position).0.hash().place,
            };
            self.index.remove(place, spot);
            spots.remove(id);
            Deleted::Applied
        };
        ids.iter().map(delete).collect()
    }

    /// The place in the index that led to the record.
    fn delete_alive(&mut self, slot: u32) -> u64 {
        let record = self.alive.remove(slot);
        let state = &mut self.queues[usize::from(record.queue)];
        if record.held.is_some() {
            state.held.remove(&record.order);
        } else {
            state.waiting.remove(&record.order);
        }
        if !state.is_quarantine() {
            self.pending -= 1;
        }
        record.place
    }

    /// Where the records of these ids are. Ids are no key of anything, so this looks at everything.
    fn locate(&self, queue: &Queue, ids: &[RecordId]) -> HashMap<RecordId, Spot> {
        let mut spots = HashMap::new();
        let Some(&number) = self.names.get(queue) else {
            return spots;
        };
        let ids: HashSet<_> = ids.iter().collect();
        let wanted = |id: &RecordId| ids.contains(id);
        for (slot, record) in self.alive.iter() {
            if record.queue == number && wanted(&record.content.id) {
                spots.insert(record.content.id, Spot::Alive(slot));
            }
        }
        for ending in [Ending::Dead, Ending::Done] {
            for (position, entry) in self.log(ending).newest_before(u64::MAX) {
                if entry.queue() != number || !wanted(&entry.id) {
                    continue;
                }
                let spot = Spot::Settled(ending, short(position));
                if self.leads_to(entry.hash().place, spot) {
                    spots.insert(entry.id, spot);
                }
            }
        }
        spots
    }

    /// Whether an entry of a log is still its record's: it may live again by now.
    pub(super) fn leads_to(&self, place: u64, spot: Spot) -> bool {
        self.index.find(place, |other| other == spot).is_some()
    }

    pub(super) fn summary(&self, spot: Spot, now: Duration) -> Summary {
        let known = self.known(spot, now);
        let summary = Summary::new(known.id, known.rank, known.state);
        match spot {
            Spot::Alive(slot) => {
                let record = self.alive.get(slot);
                let expiries = match known.state {
                    State::Leased => record.expiries,
                    _ => record.expiries_if_leased(),
                };
                let age = now.saturating_sub(record.born);
                let summary = summary
                    .with_key(record.content.texts.shared().0)
                    .with_history(record.attempt, expiries, age)
                    .with_error(record.failures.last_error());
                if self.queues[usize::from(record.queue)].is_quarantine() {
                    return summary;
                }
                summary.with_due_in(record.order.0.saturating_sub(now))
            }
            Spot::Settled(ending, position) => {
                let log = self.log(ending);
                let ago = now.saturating_sub(log.get(position).settled());
                let summary = summary.with_settled(ago);
                let Some(payload) = log.payload(position) else {
                    return summary;
                };
                let age = now.saturating_sub(payload.born);
                summary
                    .with_key(payload.texts.shared().0)
                    .with_history(payload.attempt, payload.expiries, age)
                    .with_error(payload.failures.last_error())
            }
        }
    }
}
