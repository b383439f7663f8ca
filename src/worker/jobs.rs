//! The handlers that run, each in a task of its own.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::{Id, JoinError, JoinSet},
};

use super::any::Failure;
use crate::{
    event::{Meta, Source},
    store::{Lease, Leased},
};

/// Dropped with the loop that owns it, which aborts what still runs.
#[derive(Default)]
pub(super) struct Jobs {
    tasks: Mutex<Tasks>,
    added: Notify,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Tasks {
    set: JoinSet<Result<(), Failure>>,
    about: HashMap<Id, About>,
}

/// What the loop remembers of a delivery while its handler runs.
#[derive(Debug)]
pub(super) struct About {
    pub(super) lease: Lease,
    pub(super) key: bytes::Bytes,
    pub(super) attempt: u32,
    /// On the store's clock, at the lease.
    pub(super) age: Duration,
    /// Only where something is counted.
    pub(super) source: Source,
}

/// How a handler's task ended.
#[derive(Debug)]
pub(super) enum End {
    Handled,
    Failed(Failure),
    /// Before it was done, by us.
    Aborted,
}

impl About {
    pub(super) fn of(leased: &Leased) -> Self {
        Self {
            lease: leased.lease.clone(),
            key: leased.key.clone(),
            attempt: leased.attempt,
            age: leased.age,
            source: source(leased),
        }
    }
}

/// What is counted by it: nobody else has the meta read for this.
fn source(leased: &Leased) -> Source {
    match cfg!(feature = "metrics") {
        true => Meta::decode(&leased.meta).map_or_else(|_| Source::default(), |meta| meta.source),
        false => Source::default(),
    }
}

impl Jobs {
    pub(super) fn spawn(
        &self,
        about: About,
        task: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let mut tasks = self.lock();
        let id = tasks.set.spawn(task).id();
        tasks.about.insert(id, about);
        self.count.send_replace(tasks.about.len());
        drop(tasks);
        self.added.notify_one();
    }

    /// Waits for the next one to end.
    pub(super) async fn next(&self) -> (About, End) {
        loop {
            let joined = poll_fn(|cx| match self.lock().set.poll_join_next_with_id(cx) {
                Poll::Ready(joined) => Poll::Ready(joined),
                Poll::Pending => Poll::Pending,
            });
            let ended = match joined.await {
                Some(joined) => self.ended(joined),
                None => {
                    self.added.notified().await;
                    None
                }
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// The next one that has ended already.
    pub(super) fn try_next(&self) -> Option<(About, End)> {
        loop {
            let joined = self.lock().set.try_join_next_with_id()?;
            if let Some(ended) = self.ended(joined) {
                return Some(ended);
            }
        }
    }

    pub(super) fn abort_all(&self) {
        self.lock().set.abort_all();
    }

    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until none runs.
    pub(super) async fn none(&self) {
        let mut watched = self.count.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = watched.wait_for(|running| *running == 0).await;
    }

    fn ended(&self, joined: Result<(Id, Result<(), Failure>), JoinError>) -> Option<(About, End)> {
        let (id, end) = match joined {
            Ok((id, Ok(()))) => (id, End::Handled),
            Ok((id, Err(failure))) => (id, End::Failed(failure)),
            Err(error) if error.is_panic() => {
                // The handler's own panics are caught: this one came from what it left behind.
                (
                    error.id(),
                    End::Failed(Failure::retry("the handler panicked when it was dropped")),
                )
            }
            Err(error) => (error.id(), End::Aborted),
        };
        let mut tasks = self.lock();
        let about = tasks.about.remove(&id);
        self.count.send_replace(tasks.about.len());
        about.map(|about| (about, end))
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
