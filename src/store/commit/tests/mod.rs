//! What the group commit promises, against a store that does as it is told.

mod batching;
mod failures;
mod leaving;
mod schedules;
mod script;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use self::script::{Do, Script, record, soon, until};
use super::{Committer, Limits};
use crate::{
    clock::{Clock, ManualClock},
    store::{AnyInbox, Inserted, NewRecord, StoreError},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A committer over a scripted store, on a clock that stands still until it is turned.
struct Bench {
    store: Arc<Script>,
    hands: ManualClock,
    committer: Committer,
}

type Answer = Result<Inserted, StoreError>;

impl Bench {
    fn new(store: Script) -> Self {
        Self::with_limits(store, Limits::default())
    }

    fn with_limits(store: Script, limits: Limits) -> Self {
        let store = Arc::new(store);
        let hands = Clock::manual();
        let inbox = AnyInbox::new(Arc::clone(&store));
        Self {
            committer: Committer::with_limits("words".into(), inbox, hands.clock(), limits),
            store,
            hands,
        }
    }

    /// An insert in a task of its own, as a request would make it.
    fn spawn(&self, record: NewRecord) -> JoinHandle<Answer> {
        let committer = self.committer.clone();
        tokio::spawn(async move { committer.insert(record, || PATIENCE).await })
    }

    fn waiting(&self) -> usize {
        self.committer.0.queue().len()
    }

    /// Starts an insert, and waits until the store is at work on it.
    async fn occupy(&self) -> JoinHandle<Answer> {
        let begun = self.store.begun();
        let first = self.spawn(record(1_000_000, 0));
        until(|| self.store.begun() > begun).await;
        first
    }

    /// Starts inserts, and waits until they all wait.
    async fn spawn_waiting(
        &self,
        records: impl Iterator<Item = NewRecord>,
    ) -> Vec<JoinHandle<Answer>> {
        let before = self.waiting();
        let spawned: Vec<_> = records.map(|record| self.spawn(record)).collect();
        until(|| self.waiting() == before + spawned.len()).await;
        spawned
    }

    /// The future's output, while the clock is turned on and on. On one thread only: on another, the
    /// time would be up before the store is asked.
    async fn turning<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        soon(async {
            loop {
                tokio::select! {
                    biased;
                    output = &mut future => return output,
                    () = tokio::task::yield_now() => self.hands.advance(Duration::from_millis(5)),
                }
            }
        })
        .await
    }

    /// Nothing is left behind, and the next insert works.
    async fn is_at_rest(&self) {
        until(|| {
            let queue = self.committer.0.queue();
            queue.is_empty() && queue.seats_taken == 0
        })
        .await;
        assert_eq!(self.store.under_way(), 0);
        let insert = self.committer.insert(record(2_000_000, 0), || PATIENCE);
        let answer = soon(insert).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

async fn joined(task: JoinHandle<Answer>) -> Answer {
    soon(task).await.expect("an insert does not panic")
}

/// Everything an error says, down to its source.
fn told(answer: Answer) -> String {
    let error = answer.unwrap_err();
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
