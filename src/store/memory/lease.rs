//! Who has what, and how leases end.

use std::time::Duration;

use super::{
    alive::Held,
    index::{Ending, Spot},
    state::Inner,
};
use crate::store::{Action, Lease, LeaseToken, Leased, Queue, Settled};

impl Inner {
    /// Leases what is due next. `alone` says that it may be a suspect.
    pub(super) fn lease_next(
        &mut self,
        queue: &Queue,
        until: Duration,
        alone: bool,
        token: impl Fn(u64, u64) -> LeaseToken,
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
            token(record.place, record.serial),
        );
        let (key, body, meta) = record.content.texts.shared();
        let age = now.saturating_sub(record.born);
        Some(
            Leased::new(lease, key, record.content.rank, body, meta).with_history(
                record.attempt,
                record.expiries,
                age,
            ),
        )
    }

    /// `place` and `serial` are what the token says.
    pub(super) fn settle(
        &mut self,
        place: u64,
        serial: u64,
        action: &Action,
        now: Duration,
    ) -> Settled {
        let mut known = false;
        let spot = self.index.find(place, |spot| {
            let (found, last) = match spot {
                Spot::Alive(slot) => {
                    let record = self.alive.get(slot);
                    (record.place, record.serial)
                }
                Spot::Settled(ending, position) => {
                    let entry = self.log(ending).get(position);
                    (entry.hash().place, entry.serial())
                }
            };
            known |= found == place;
            found == place && last == serial
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
            // The key is free, as it was to be.
            (None, Action::Disown) if !known => Settled::Applied,
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
                record.failures.push(record.attempt, now, error);
                now.saturating_add(*after)
            }
            (None, Action::Release { after }) => {
                record.attempt = record.attempt.saturating_sub(1);
                now.saturating_add(*after)
            }
            (None, Action::Dead { reason }) => {
                record.failures.push(record.attempt, now, reason);
                return self.remember(slot, Ending::Dead, now);
            }
            (None, Action::Disown) => {
                let record = self.alive.remove(slot);
                self.index.remove(record.place, Spot::Alive(slot));
                self.pending -= 1;
                return;
            }
            (None, Action::Done | Action::Extend { .. }) => {
                return self.remember(slot, Ending::Done, now);
            }
        };
        record.order = (due, sequence);
        state.waiting.insert(record.order, slot);
    }
}

/// A lease lasts a moment at least: two leases of one record at one instant would be one too many.
pub(super) fn lease_end(now: Duration, ttl: Duration) -> Duration {
    now.saturating_add(ttl.max(Duration::from_nanos(1)))
}
