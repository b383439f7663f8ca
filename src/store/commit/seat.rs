//! The right to have a batch under way, which is never lost.

use std::sync::Arc;

use super::{
    Shared,
    batch::Batch,
    queue::{Handed, Queue, Reply, Waiting},
};

/// The right to have a batch under way. There are as many as the store has commits at once.
///
/// Whoever holds one writes until nobody waits, and gives it back then. If it is dropped before (its
/// task panicked, or died with its runtime), somebody who waits gets it: on another runtime, maybe.
pub(super) struct Seat(Option<Arc<Shared>>);

impl Seat {
    /// A seat, if one is free.
    pub(super) fn take(queue: &mut Queue, shared: &Arc<Shared>) -> Option<Self> {
        if queue.seats_taken >= shared.seats {
            return None;
        }
        queue.seats_taken += 1;
        Some(Self(Some(Arc::clone(shared))))
    }

    /// Fills an empty batch, or gives the seat back when nobody waits: in one step, so that whoever
    /// comes between finds either a writer or a free seat.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Option<Arc<Shared>> {
        let shared = Arc::clone(self.0.as_ref()?);
        let mut queue = shared.queue();
        if queue.fill(batch, &shared.limits) {
            drop(queue);
            return Some(shared);
        }
        queue.seats_taken -= 1;
        self.0 = None;
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else {
            return;
        };
        loop {
            let mut queue = shared.queue();
            let Some(first) = queue.take_first() else {
                queue.seats_taken -= 1;
                return;
            };
            drop(queue);
            let Waiting {
                record,
                deadline,
                reply,
            } = first;
            let handed = Box::new(Handed {
                record,
                deadline,
                seat: Self(Some(Arc::clone(&shared))),
            });
            match reply.send(Reply::Handed(handed)) {
                Ok(()) => return,
                // Its caller has just left. The seat goes on from here, without recursion.
                Err(Reply::Handed(mut handed)) => handed.seat.0 = None,
                Err(Reply::Answer(_)) => {}
            }
        }
    }
}
