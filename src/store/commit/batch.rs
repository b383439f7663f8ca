//! Batches, and what is done when the store does not take one.

use std::time::Duration;

use tokio::{sync::oneshot, task::coop::consume_budget};

use super::{
    Shared,
    queue::{Reply, Waiting},
    seat::Seat,
    too_slow,
};
use crate::store::{Inserted, NewRecord, StoreError, StoreErrorKind};

/// After the first failure. A broken connection is often mended by the next attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
/// Short against a caller's patience.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// Writes batch after batch until nobody waits.
pub(super) async fn drive(mut seat: Seat) {
    let mut batch = Batch::default();
    while let Some(shared) = seat.fill(&mut batch) {
        batch.write(&shared).await;
        // A store that never waits must not keep the other tasks of its thread waiting.
        consume_budget().await;
    }
}

/// Records that are written together, each with where its answer goes.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<NewRecord>,
    /// Side by side with the records; `None` once answered.
    replies: Vec<Option<oneshot::Sender<Reply>>>,
    /// Of the most patient caller.
    deadline: Duration,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.records.push(waiting.record);
        self.replies.push(Some(waiting.reply));
        self.deadline = self.deadline.max(waiting.deadline);
    }

    /// Writes the records, answers everybody, and leaves the batch empty.
    ///
    /// A part that is rejected is halved until the culprits are alone. The records written before
    /// are in already, and are not sent again.
    async fn write(&mut self, shared: &Shared) {
        let mut later = Vec::new();
        let mut next = Some(0..self.len());
        while let Some(part) = next {
            match insert(shared, &self.records[part.clone()], self.deadline).await {
                Ok(answers) => {
                    for (index, answer) in part.zip(answers) {
                        self.answer(index, Ok(answer));
                    }
                }
                Err(error) if error.kind() == StoreErrorKind::Rejected && part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    later.push(middle..part.end);
                    later.push(part.start..middle);
                }
                Err(error) => {
                    let mut copy = error.copies();
                    for index in part {
                        self.answer(index, Err(copy()));
                    }
                }
            }
            next = later.pop();
        }
        self.records.clear();
        self.replies.clear();
        self.deadline = Duration::ZERO;
    }

    fn answer(&mut self, index: usize, answer: Result<Inserted, StoreError>) {
        if let Some(reply) = self.replies[index].take() {
            // An error means that the caller has left: its record is written all the same.
            let _ = reply.send(Reply::Answer(answer));
        }
    }
}

/// Inserts records, and tries again while the store is unavailable and the deadline is not near.
/// A store that panics or miscounts is not tried again: it would do so once more.
async fn insert(
    shared: &Shared,
    records: &[NewRecord],
    deadline: Duration,
) -> Result<Vec<Inserted>, StoreError> {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let left = deadline.saturating_sub(shared.now());
        if left.is_zero() {
            return Err(too_slow());
        }
        // In time or not at all: dropping the call lets the store close what hangs.
        let error = match shared.clock.timeout(left, shared.call(records)).await {
            Some(Ok(Ok(answers))) => return Ok(answers),
            Some(Ok(Err(error))) => error,
            Some(Err(broken)) => return Err(broken),
            None => return Err(too_slow()),
        };
        let left = deadline.saturating_sub(shared.now());
        if error.kind() == StoreErrorKind::Rejected || left <= backoff {
            return Err(error);
        }
        shared.clock.sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}
