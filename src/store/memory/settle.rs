//! How leases end, and how what is settled is forgotten.

use std::time::Duration;

use super::{index::Spot, state::Inner};
use crate::store::{Action, Purged, Retention, Settled, State};

/// How many records one step of a purge looks at.
const STEP: u64 = 1000;

impl Inner {
    /// `place` and `serial` are what the token says.
    pub(super) fn settle(
        &mut self,
        place: u64,
        serial: u64,
        action: &Action,
        now: Duration,
    ) -> Settled {
        let mut other = false;
        let spot = self.index.find(place, |spot| {
            let last = match spot {
                Spot::Alive(slot) => self.alive.get(slot).serial,
                Spot::Done(position) => self.done.get(position).serial(),
                Spot::Dead(position) => self.dead.get(position).serial(),
            };
            other |= last != serial;
            last == serial
        });
        match (spot, action) {
            (Some(Spot::Alive(slot)), _) if self.alive.get(slot).held.is_some() => {
                self.end_lease(slot, action, now);
                Settled::Applied
            }
            // The token is the last one, and its lease has ended: there is nothing to extend, and
            // everything else was done before.
            (Some(_), Action::Extend { .. }) => Settled::Stale,
            (Some(_), _) => Settled::Applied,
            (None, Action::Disown) if !other => Settled::Applied,
            (None, _) => Settled::Stale,
        }
    }

    fn end_lease(&mut self, slot: u32, action: &Action, now: Duration) {
        let record = self.alive.get_mut(slot);
        let state = &mut self.queues[usize::from(record.queue)];
        state.held.remove(&record.order);
        let sequence = record.order.1;

        if let Action::Extend { ttl } = action {
            if let Some(held) = &mut record.held {
                held.until = lease_end(now, *ttl);
                record.order = (held.free_at(), sequence);
                state.held.insert(record.order, slot);
            }
            return;
        }

        let superseded = record.held.take().and_then(|held| held.superseded);
        record.settled_by = record.serial;
        let due = match (superseded, action) {
            (Some(due), _) => due.max(now),
            (None, Action::RetryIn { after, error }) => {
                record.error = Some(error.as_str().into());
                now.saturating_add(*after)
            }
            (None, Action::Release { after }) => {
                record.attempt = record.attempt.saturating_sub(1);
                now.saturating_add(*after)
            }
            (None, Action::Dead { reason }) => {
                record.error = Some(reason.as_str().into());
                return self.remember(slot, State::Dead, now);
            }
            (None, Action::Disown) => {
                let record = self.alive.remove(slot);
                self.index.remove(record.hash.place, Spot::Alive(slot));
                self.pending -= 1;
                return;
            }
            (None, Action::Done | Action::Extend { .. }) => {
                return self.remember(slot, State::Done, now);
            }
        };
        record.order = (due, sequence);
        state.waiting.insert(record.order, slot);
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
        let mut more = true;
        // Keys first: what is forgotten as a whole counts once.
        while more
            && let Some(settled) = self.done.oldest()
            && old(settled, retention.keys)
        {
            more = count(self.forget_oldest(State::Done));
        }
        while more
            && let Some(settled) = self.dead.oldest()
            && old(settled, retention.dead)
        {
            more = count(self.forget_oldest(State::Dead));
        }
        while more
            && let Some(settled) = self.done.oldest_payload()
            && old(settled, retention.bodies)
        {
            more = count(self.done.pop_payload());
        }
        for number in 0..=u16::MAX {
            let Some(queue) = self.queues.get(usize::from(number)) else {
                break;
            };
            if !queue.is_quarantine() {
                continue;
            }
            while more
                && let Some((&(arrived, _), _)) =
                    self.queues[usize::from(number)].waiting.first_key_value()
                && old(arrived, retention.quarantine)
            {
                self.drop_oldest(number);
                more = count(true);
            }
        }
        Purged::new(records, !more)
    }
}

/// A lease lasts a moment at least: two leases of one record at one instant would be one too many.
pub(super) fn lease_end(now: Duration, ttl: Duration) -> Duration {
    now.saturating_add(ttl.max(Duration::from_nanos(1)))
}
