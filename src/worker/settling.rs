//! Settles what handlers have ended, in batches.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    any::Failure,
    count,
    error::{Ruled, Verdict},
    held::{BATCH, lossy},
    jobs::{About, End},
    join::join_all,
    retry::random,
    run::Run,
    trouble::{Failed, Trouble, call},
};
use crate::{
    error::bounded,
    store::{Action, Settled, Settlement, Store},
};

/// How many completions are asked for at the same time. One after the other, they would be slower than
/// the handlers whose transactions they are about; more would take the connections from those.
const ASKED: usize = 4;

/// What is to be settled, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    settlements: Mutex<VecDeque<Settlement>>,
    added: Notify,
}

impl Outbox {
    pub(super) fn push(&self, settlement: Settlement) {
        self.lock().push_back(settlement);
        self.added.notify_one();
    }

    fn put_back(&self, settlements: impl DoubleEndedIterator<Item = Settlement>) {
        let mut waiting = self.lock();
        for settlement in settlements.rev() {
            waiting.push_front(settlement);
        }
    }

    /// Behind all others.
    fn put_last(&self, settlements: impl Iterator<Item = Settlement>) {
        self.lock().extend(settlements);
    }

    fn take(&self, max: usize) -> Vec<Settlement> {
        let mut waiting = self.lock();
        let count = waiting.len().min(max);
        waiting.drain(..count).collect()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Settlement>> {
        self.settlements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run<'_> {
    /// Settles for as long as the worker runs. What the store fails to settle is kept and tried again,
    /// while the heartbeat keeps its leases.
    pub(super) async fn settle(&self) -> Infallible {
        let ttl = self.endpoint.settings.lease_ttl;
        // At least a few times before a lease ends, also at a shutdown.
        let mut trouble = Trouble::new(ttl / 6);
        // New ends wait behind a pause, so one for records that somebody holds is short.
        let mut held_up = Trouble::new((ttl / 6).min(Duration::from_secs(1)));
        let mut max = BATCH;
        loop {
            self.collect().await;
            if let Err(failed) = self.ask().await {
                self.tell_unsettled(&mut trouble, &failed);
                self.endpoint.clock.sleep(trouble.pause()).await;
            }
            let batch = self.held.send(self.outbox.take(max));
            if batch.is_empty() {
                continue;
            }
            let sent = batch.len();
            let settled = call(
                &self.endpoint.clock,
                ttl,
                self.endpoint.store.settle(&batch),
            )
            .await;
            let undecided = match settled {
                Ok(answers) if answers.len() == batch.len() => {
                    max = BATCH;
                    trouble.is_over();
                    let busy = self.answered(batch, answers);
                    if busy.len() < sent {
                        held_up.is_over();
                    }
                    let all = busy.len() == sent;
                    self.outbox.put_last(busy.into_iter());
                    if all {
                        self.endpoint.clock.sleep(held_up.pause()).await;
                    }
                    continue;
                }
                Ok(_) => {
                    self.tell_unsettled(&mut trouble, &Failed::new("an answer is missing"));
                    batch
                }
                Err(failed) if failed.rejected && batch.len() == 1 => {
                    max = BATCH;
                    self.rejected(&batch, &failed);
                    Vec::new()
                }
                Err(failed) if failed.rejected => {
                    // One that can never be settled must not keep the others from it.
                    max = batch.len() / 2;
                    self.outbox.put_back(batch.into_iter());
                    continue;
                }
                Err(failed) => {
                    self.tell_unsettled(&mut trouble, &failed);
                    batch
                }
            };
            if !undecided.is_empty() {
                self.outbox.put_back(undecided.into_iter());
                self.endpoint.clock.sleep(trouble.pause()).await;
            }
        }
    }

    /// Waits until there is something to settle, and collects everything that is ready.
    async fn collect(&self) {
        while self.outbox.is_empty() && self.asks().is_empty() {
            tokio::select! {
                (about, end) = self.jobs.next() => self.ended(about, end),
                () = self.outbox.added.notified() => {}
            }
        }
        while let Some((about, end)) = self.jobs.try_next() {
            self.ended(about, end);
        }
    }

    fn ended(&self, about: About, end: End) {
        if !self.held.holds(about.lease.token) {
            // Told when the lease was lost.
            return count::ended(&self.endpoint.queue, &about, "lost");
        }
        if about.lease.is_completing() {
            return self.asks().push_back((about, end));
        }
        self.settle_end(about, end);
    }

    fn asks(&self) -> MutexGuard<'_, VecDeque<(About, End)>> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store what became of the leases that transactions were to complete. Their commit
    /// alone counts: not an `Ok` after a rollback, and no error after a commit.
    async fn ask(&self) -> Result<(), Failed> {
        loop {
            let asked: Vec<_> = {
                let mut asks = self.asks();
                let count = asks.len().min(ASKED);
                asks.drain(..count).collect()
            };
            if asked.is_empty() {
                return Ok(());
            }
            let answers = join_all(asked.iter().map(|(about, _)| self.is_completed(about))).await;
            let mut trouble = Ok(());
            for ((about, end), answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(true) => {
                        count::ended(&self.endpoint.queue, &about, "handled");
                        self.held.end(about.lease.token);
                    }
                    Ok(false) => {
                        let end = match end {
                            End::Handled => End::Failed(Failure::retry(
                                "the transaction that completes the event was not committed",
                            )),
                            End::Failed(_) | End::Aborted => end,
                        };
                        self.settle_end(about, end);
                    }
                    Err(failed) => {
                        self.asks().push_front((about, end));
                        trouble = Err(failed);
                    }
                }
            }
            trouble?;
        }
    }

    async fn is_completed(&self, about: &About) -> Result<bool, Failed> {
        let endpoint = self.endpoint;
        let find = endpoint.store.find(&endpoint.queue, &about.key);
        let found = call(&endpoint.clock, endpoint.settings.lease_ttl, find).await?;
        Ok(found.is_some_and(|found| found.settled_by == Some(about.lease.token)))
    }

    fn settle_end(&self, about: About, end: End) {
        let action = match end {
            End::Handled => Action::Done,
            End::Aborted => Action::Release {
                after: Duration::ZERO,
            },
            End::Failed(failure) => self.failed(&about, failure),
        };
        count::settled(&self.endpoint.queue, &about, &action);
        self.outbox.push(Settlement::new(about.lease, action));
    }

    fn failed(&self, about: &About, failure: Failure) -> Action {
        let Failure { verdict, error } = failure;
        let clock = &self.endpoint.clock;
        let endpoint = self.endpoint.queue.endpoint();
        let key = lossy(&about.key);
        let attempt = about.attempt;
        let age = clock.of_store(about.age);
        let next = |asked| {
            let policy = &self.endpoint.settings.retry;
            policy.next(attempt, age, asked, random())
        };
        let (retry, reason) = match verdict {
            Verdict::GiveUp => (None, error.clone()),
            Verdict::Retry => (next(None), over(&error, attempt)),
            Verdict::RetryAfter(delay) => (next(Some(delay)), over(&error, attempt)),
            Verdict::Ruled(ruled) => return self.ruled(&about.key, attempt, ruled, error),
        };
        match retry {
            Some(delay) => {
                tracing::warn!(endpoint, key, attempt, error, retry_in = ?delay, "an attempt failed");
                Action::RetryIn {
                    after: clock.to_store(delay),
                    error,
                }
            }
            None => {
                tracing::warn!(endpoint, key, attempt, error, "an attempt failed");
                tracing::error!(
                    endpoint,
                    key,
                    attempt,
                    reason,
                    "an event is given up as a dead letter"
                );
                Action::Dead { reason }
            }
        }
    }

    /// What a room says of its own record. To look again later is no failure.
    fn ruled(&self, key: &[u8], attempt: u32, ruled: Ruled, reason: String) -> Action {
        match ruled {
            Ruled::Later(after) => Action::RetryIn {
                after: self.endpoint.clock.to_store(after),
                error: reason,
            },
            Ruled::Disown => Action::Disown,
            Ruled::Dead => {
                tracing::error!(
                    endpoint = self.endpoint.queue.endpoint(),
                    key = lossy(key),
                    attempt,
                    reason,
                    "a tracked task is given up as a dead letter"
                );
                Action::Dead { reason }
            }
        }
    }

    /// Ends the leases that are settled, and answers what could not be decided.
    fn answered(&self, batch: Vec<Settlement>, answers: Vec<Settled>) -> Vec<Settlement> {
        let mut undecided = Vec::new();
        for (settlement, answer) in batch.into_iter().zip(answers) {
            match answer {
                Settled::Busy => undecided.push(settlement),
                Settled::Applied => {
                    self.held.end(settlement.lease.token);
                }
                Settled::Stale => {
                    let key = self.held.end(settlement.lease.token);
                    // A transaction that was to complete it was refused if it came too late. Otherwise
                    // it was committed, and a better event for the key has come since.
                    if !settlement.lease.is_completing() {
                        tracing::warn!(
                            endpoint = self.endpoint.queue.endpoint(),
                            key,
                            "a lease was lost before it was settled: its event may be handled twice",
                        );
                    }
                }
            }
        }
        undecided
    }

    fn rejected(&self, batch: &[Settlement], failed: &Failed) {
        for settlement in batch {
            let key = self.held.end(settlement.lease.token);
            tracing::error!(
                endpoint = self.endpoint.queue.endpoint(),
                key,
                error = %failed,
                "the store will not settle this event: it comes again when its lease expires",
            );
        }
    }

    fn tell_unsettled(&self, trouble: &mut Trouble, failed: &Failed) {
        if let Some(untold) = trouble.tell() {
            tracing::warn!(
                endpoint = self.endpoint.queue.endpoint(),
                error = %failed,
                untold,
                "what was handled could not be settled, which is tried again",
            );
        }
    }
}

/// The last error of an event whose retries are over.
fn over(error: &str, attempt: u32) -> String {
    bounded(format!(
        "{error} (attempt {attempt} was the last: the time for retries is over)"
    ))
}
