//! Group commit: concurrent inserts into a durable store become one batch.
//!
//! A durable insert costs a flush to disk, and one flush serves a thousand records as well as one.
//! So while a batch is being written, whoever comes waits in a [`Queue`], and becomes the next
//! batch the moment the one before ends: never on a timer, so that a lone insert is not delayed.
//!
//! A batch is written by a task of its own, because the request that brought a record may be dropped
//! at any time, and a batch that has begun must finish. The task lives while there is something to
//! write. It holds a [`Seat`], which is handed to somebody who waits if the task dies with its runtime.

mod batch;
mod queue;
mod seat;

#[cfg(test)]
mod tests;

use std::{
    fmt, slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::oneshot};

use self::{
    queue::{Handed, Queue, Reply, Ticket, Waiting},
    seat::Seat,
};
use super::{AnyInbox, Durability, Inbox, Inserted, NewRecord, StoreError};
use crate::{
    clock::{Clock, Stopwatch},
    count,
    panic::catch_future,
};

/// Puts records into an inbox, many at once where that is cheaper. Clones share batches.
#[derive(Clone)]
pub(crate) struct Committer(Arc<Shared>);

/// How much is written at once, and how much may wait.
#[derive(Clone, Copy, Debug)]
struct Limits {
    batch_records: usize,
    /// Of key, body and meta. A single record may be larger.
    batch_bytes: usize,
    queue_records: usize,
    queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_records: 1024,
            batch_bytes: 4 * 1024 * 1024,
            queue_records: 16 * 1024,
            queue_bytes: 64 * 1024 * 1024,
        }
    }
}

struct Shared {
    /// The endpoint, for what is counted.
    name: Arc<str>,
    inbox: AnyInbox,
    /// Nothing to group: there is no flush to share.
    volatile: bool,
    seats: usize,
    limits: Limits,
    clock: Clock,
    /// Deadlines are counted from here, because the time of day jumps.
    origin: Instant,
    queue: Mutex<Queue>,
}

impl Committer {
    pub(crate) fn new(name: Arc<str>, inbox: AnyInbox, clock: Clock) -> Self {
        Self::with_limits(name, inbox, clock, Limits::default())
    }

    fn with_limits(name: Arc<str>, inbox: AnyInbox, clock: Clock, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            name,
            volatile: inbox.durability() == Durability::Volatile,
            seats: inbox.commits_at_once().max(1),
            inbox,
            limits,
            clock,
            origin: Instant::now(),
            queue: Mutex::default(),
        }))
    }

    /// The insert into a store of ours that waits for nothing, and where nothing of a user's runs;
    /// `None` if this is none.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub(crate) fn insert_now(&self, record: &NewRecord) -> Option<Result<Inserted, StoreError>> {
        let shared = &*self.0;
        let begun = count::IS_ON.then(|| shared.clock.stopwatch());
        let answer = shared.inbox.insert_now(record)?;
        if let Some(begun) = begun {
            shared.count(1, answer.is_ok(), &begun);
        }
        Some(answer)
    }

    /// Resolves when the record is durable or was refused.
    ///
    /// Dropping the future takes a record out whose batch has not begun; a batch that has begun
    /// finishes. `patience` is how long the caller can wait, on the clock, once he has to.
    ///
    /// # Errors
    ///
    /// [`Rejected`](super::StoreErrorKind::Rejected) when the store can never take this record.
    /// [`Unavailable`](super::StoreErrorKind::Unavailable) when the store failed, panicked or did not
    /// answer until the caller's patience was over, and at once when too many wait already. The
    /// record may be in the store then.
    pub(crate) async fn insert(
        &self,
        record: NewRecord,
        patience: impl FnOnce() -> Duration,
    ) -> Result<Inserted, StoreError> {
        let Shared { clock, .. } = &*self.0;
        if self.0.volatile {
            let alone = slice::from_ref(&record);
            let outcome = clock.timeout_of(patience, self.0.call(alone)).await;
            let answers = outcome.ok_or_else(too_slow).flatten().flatten()?;
            return answers.first().copied().ok_or_else(wrong_count);
        }
        let patience = patience();
        let mut waiter = self.enqueue(record, patience)?;
        let answer = clock.timeout(patience, waiter.answer()).await;
        answer.unwrap_or_else(|| Err(too_slow()))
    }

    /// Lets a record wait for the next batch, and sees to it that there is somebody to write it.
    fn enqueue(&self, record: NewRecord, patience: Duration) -> Result<Waiter<'_>, StoreError> {
        let shared = &self.0;
        let deadline = shared.now().saturating_add(patience);
        let (waiting, receiver) = Waiting::new(record, deadline);
        let (ticket, seat) = {
            let mut queue = shared.queue();
            if !queue.has_room_for(&waiting, &shared.limits) {
                return Err(StoreError::unavailable("the commit queue is full"));
            }
            (queue.push(waiting), Seat::take(&mut queue, shared))
        };
        if let Some(seat) = seat {
            start(seat);
        }
        Ok(Waiter {
            shared,
            ticket: Some(ticket),
            receiver,
        })
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Committer")
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that may panic runs under the lock, and a queue is whole between any two steps.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the origin, on the clock.
    fn now(&self) -> Duration {
        match self.clock.as_manual() {
            Some(hands) => hands.elapsed(),
            None => self.clock.of_store(self.origin.elapsed()),
        }
    }

    /// One call of the store, which is somebody else's code: what it answers, or how it is broken.
    async fn call(
        &self,
        records: &[NewRecord],
    ) -> Result<Result<Vec<Inserted>, StoreError>, StoreError> {
        let begun = self.clock.stopwatch();
        let answer = match catch_future(self.inbox.insert(records)).await {
            Ok(Ok(answers)) if answers.len() != records.len() => Err(wrong_count()),
            Ok(outcome) => Ok(outcome),
            Err(panicked) => Err(StoreError::unavailable(panicked)),
        };
        self.count(records.len(), matches!(answer, Ok(Ok(_))), &begun);
        answer
    }

    fn count(&self, records: usize, is_written: bool, begun: &Stopwatch) {
        let outcome = if is_written { "written" } else { "failed" };
        count::commit(&self.name, records, outcome, || self.clock.elapsed(begun));
    }
}

/// A caller that waits for its answer. Dropped before, it takes its record out of the queue.
struct Waiter<'a> {
    shared: &'a Arc<Shared>,
    /// `None` once there is an answer.
    ticket: Option<Ticket>,
    receiver: oneshot::Receiver<Reply>,
}

impl Waiter<'_> {
    async fn answer(&mut self) -> Result<Inserted, StoreError> {
        let mut started = false;
        loop {
            match (&mut self.receiver).await {
                Ok(Reply::Answer(answer)) => {
                    self.ticket = None;
                    return answer;
                }
                Ok(Reply::Handed(handed)) if !started => {
                    started = true;
                    let Handed {
                        record,
                        deadline,
                        seat,
                    } = *handed;
                    let (waiting, receiver) = Waiting::new(record, deadline);
                    self.receiver = receiver;
                    if let Some(ticket) = self.ticket {
                        self.shared.queue().put_back(ticket, waiting);
                    }
                    start(seat);
                }
                // The task that was started here died before it came to the record, or died with it:
                // the runtime is shutting down. A caller on another runtime gets the seat.
                Ok(Reply::Handed(_)) | Err(_) => {
                    self.ticket = None;
                    return Err(StoreError::unavailable("the commit was interrupted"));
                }
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let taken_out = self.shared.queue().take(ticket);
            // Dropped here, without the lock: whatever the body's memory is may run code.
            drop(taken_out);
        }
    }
}

/// Starts a task that writes batches. Without a runtime the seat goes to the next who waits.
fn start(seat: Seat) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(batch::drive(seat));
    }
}

fn too_slow() -> StoreError {
    StoreError::unavailable("the store did not answer in time")
}

fn wrong_count() -> StoreError {
    StoreError::unavailable("the store answered for another number of records than it was given")
}
