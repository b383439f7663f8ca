//! What is remembered of what is settled, and how it is forgotten.

use std::time::Duration;

use super::{
    index::{Ending, Spot},
    log::{Entry, Payload},
    state::Inner,
};
use crate::store::{Purged, Retention};

/// How many records one step of a purge looks at.
const STEP: u64 = 1000;

impl Inner {
    /// Moves a record that is in no order any more to the log of `to`.
    pub(super) fn remember(&mut self, slot: u32, to: Ending, now: Duration) {
        let record = self.alive.remove(slot);
        self.pending -= 1;
        let queue = &self.queues[usize::from(record.queue)].queue;
        let entry = Entry::new(
            self.hashes
                .key_at(record.place, queue, record.content.texts.key()),
            record.content.id,
            self.digest(&record.content),
            record.serial,
            now,
            record.content.rank,
            record.queue,
        );
        let payload = Payload {
            texts: record.content.texts,
            born: record.born,
            attempt: record.attempt,
            expiries: record.expiries,
            failures: record.failures,
        };
        let keep = self.limits.bodies;
        let position = self.log_mut(to).push(entry, payload, keep);
        let spot = Spot::Settled(to, position);
        *self.queue_mut(record.queue).settled_mut(to) += 1;
        self.index.replace(record.place, Spot::Alive(slot), spot);
        self.remembered += 1;
        self.forget_surplus();
    }

    /// Forgets the oldest while there are too many. Entries of records that live again may lie
    /// before it: they are swept a few at a time.
    fn forget_surplus(&mut self) {
        for _ in 0..64 {
            let (done, dead) = (self.log(Ending::Done), self.log(Ending::Dead));
            let entries = done.len() + dead.len();
            if self.remembered <= self.limits.remembered
                && entries <= self.limits.remembered.saturating_mul(2)
            {
                return;
            }
            let oldest = match (done.oldest(), dead.oldest()) {
                (Some(done), Some(dead)) if dead < done => Ending::Dead,
                (Some(_), _) => Ending::Done,
                (None, _) => Ending::Dead,
            };
            self.forget_oldest(oldest);
        }
    }

    /// What is left of a settled record that is to live again, or to be forgotten. Its entry stays
    /// behind, and the caller has to lead the index elsewhere.
    pub(super) fn forget(&mut self, ending: Ending, position: u32) -> (Entry, Option<Payload>) {
        let log = self.log_mut(ending);
        let payload = log.take_payload(position);
        let entry = log.get(position).clone();
        self.remembered -= 1;
        *self.queue_mut(entry.queue()).settled_mut(ending) -= 1;
        (entry, payload)
    }

    /// Forgets the oldest of a log. Whether it was remembered.
    pub(super) fn forget_oldest(&mut self, which: Ending) -> bool {
        let Some((hash, queue, position)) = self.log_mut(which).pop() else {
            return false;
        };
        let remembered = self
            .index
            .remove(hash.place, Spot::Settled(which, position));
        if remembered {
            self.remembered -= 1;
            *self.queue_mut(queue).settled_mut(which) -= 1;
        }
        remembered
    }

    pub(super) fn purge(&mut self, retention: &Retention, now: Duration) -> Purged {
        let old = |settled: Duration, age: Duration| now.saturating_sub(settled) >= age;
        let mut looked_at = 0;
        let mut records = 0;
        let mut count = |counts: bool| {
            records += u64::from(counts);
            looked_at += 1;
            looked_at < STEP
        };
        let mut going_on = true;
        // Keys first: what is forgotten as a whole counts once.
        for (ending, age) in [
            (Ending::Done, retention.keys),
            (Ending::Dead, retention.dead),
        ] {
            while going_on
                && let Some(settled) = self.log(ending).oldest()
                && old(settled, age)
            {
                going_on = count(self.forget_oldest(ending));
            }
        }
        while going_on
            && let Some(settled) = self.log(Ending::Done).oldest_payload()
            && old(settled, retention.bodies)
        {
            going_on = count(self.log_mut(Ending::Done).pop_payload());
        }
        for number in 0..self.queues.len() {
            if !self.queues[number].is_quarantine() {
                continue;
            }
            while going_on
                && let Some(arrived) = self.queues[number].oldest_waiting()
                && old(arrived, retention.quarantine)
            {
                self.drop_oldest(number);
                going_on = count(true);
            }
        }
        Purged::new(records, !going_on)
    }
}
