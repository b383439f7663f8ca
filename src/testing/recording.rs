//! A store that remembers what it was given, and can be told to fail.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::ManualClock,
    store::{
        Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, RecordId, Retention,
        Settled, Settlement, Store, StoreError, forward,
        inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
    },
};

/// What an insert into a [`Recording`] store comes to, instead of being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fails as [unavailable](StoreError::unavailable).
    Unavailable,
    /// Fails as [rejected](StoreError::rejected).
    Rejected,
    /// Does not end until [`Recording::heal`] is called, and is made then.
    Hang,
    /// Answers [`Inserted::Full`] for every record.
    Full,
    /// Answers [`Inserted::Busy`] for every record.
    Busy,
    /// Panics.
    Panic,
    /// Is made, and then fails as unavailable: the answer was lost.
    LostAnswer,
}

/// A store around another one that remembers every record that the other took, and whose inserts
/// can be told to fail.
///
/// Clones are the same store.
pub struct Recording<S> {
    store: Arc<S>,
    taken: Arc<Mutex<Vec<NewRecord>>>,
    /// The fault, and for how many inserts it is.
    fault: Arc<Mutex<Option<(Fault, usize)>>>,
    healed: Arc<watch::Sender<()>>,
}

impl<S> Recording<S> {
    /// Records what goes into `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            taken: Arc::default(),
            fault: Arc::default(),
            healed: Arc::new(watch::Sender::new(())),
        }
    }

    /// The store inside.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The records that the store took, in order: those that it answered with fresh or upgraded.
    pub fn recorded(&self) -> Vec<NewRecord> {
        self.taken().clone()
    }

    /// Every insert fails like this, until [`heal`](Self::heal).
    pub fn fail(&self, fault: Fault) {
        self.fail_next(usize::MAX, fault);
    }

    /// The next `inserts` calls fail like this.
    pub fn fail_next(&self, inserts: usize, fault: Fault) {
        *self.fault() = (inserts > 0).then_some((fault, inserts));
    }

    /// Lets inserts through again, those that hang too.
    pub fn heal(&self) {
        *self.fault() = None;
        self.healed.send_replace(());
    }

    fn taken(&self) -> MutexGuard<'_, Vec<NewRecord>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> MutexGuard<'_, Option<(Fault, usize)>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut told = self.fault();
        let (fault, inserts) = (*told)?;
        *told = match inserts {
            1 => None,
            usize::MAX => Some((fault, inserts)),
            _ => Some((fault, inserts - 1)),
        };
        Some(fault)
    }
}

impl<S: Inbox> Recording<S> {
    async fn record(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let answers = self.store.insert(records).await?;
        let took = records
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| matches!(answer, Inserted::Fresh | Inserted::Upgraded))
            .map(|(record, _)| record.clone());
        self.taken().extend(took);
        Ok(answers)
    }
}

impl<S: Inbox> Inbox for Recording<S> {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        // Before the fault is looked at, so that no healing is missed.
        let mut healed = self.healed.subscribe();
        match self.next_fault() {
            None => self.record(records).await,
            Some(Fault::Unavailable) => Err(StoreError::unavailable("told to fail")),
            Some(Fault::Rejected) => Err(StoreError::rejected("told to reject")),
            Some(Fault::Full) => Ok(vec![Inserted::Full; records.len()]),
            Some(Fault::Busy) => Ok(vec![Inserted::Busy; records.len()]),
            Some(Fault::Panic) => panic!("the store was told to panic"),
            Some(Fault::LostAnswer) => {
                self.record(records).await?;
                Err(StoreError::unavailable("told to lose the answer"))
            }
            Some(Fault::Hang) => {
                // The sender lives as long as `self`.
                let _ = healed.changed().await;
                self.record(records).await
            }
        }
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        self.store.manual_clock()
    }

    fn commits_at_once(&self) -> usize {
        self.store.commits_at_once()
    }
}

impl<S: Store> Store for Recording<S> {
    forward!(Store, self => self.store);
}

impl<S: Inspect> Inspect for Recording<S> {
    forward!(Inspect, self => self.store);
}

impl<S> Clone for Recording<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            taken: Arc::clone(&self.taken),
            fault: Arc::clone(&self.fault),
            healed: Arc::clone(&self.healed),
        }
    }
}

impl<S> fmt::Debug for Recording<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("recorded", &self.taken().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn event(key: &'static str) -> [NewRecord; 1] {
        [NewRecord::new(Queue::events("music-video"), key, "{}")]
    }

    #[tokio::test]
    async fn what_the_store_took_is_recorded_and_what_it_refused_is_not() {
        let store = Recording::new(MemoryStore::new());
        let first = event("a");
        store.insert(&first).await.unwrap();
        store.insert(&event("a")).await.unwrap();
        store.fail_next(2, Fault::Unavailable);
        assert!(store.insert(&event("b")).await.is_err());
        assert!(store.insert(&event("b")).await.is_err());
        store.fail_next(1, Fault::Full);
        let full = store.insert(&event("b")).await.unwrap();
        assert_eq!(full, [Inserted::Full]);
        let ids: Vec<_> = store.recorded().iter().map(|record| record.id).collect();
        assert_eq!(ids, [first[0].id]);

        store.fail_next(1, Fault::LostAnswer);
        let lost = event("c");
        assert!(store.insert(&lost).await.is_err());
        assert_eq!(store.insert(&lost).await.unwrap(), [Inserted::Fresh]);
        assert!(
            store
                .recorded()
                .iter()
                .any(|record| record.id == lost[0].id)
        );
    }

    #[tokio::test]
    async fn an_insert_that_hangs_is_made_when_the_store_is_healed() {
        let store = Recording::new(MemoryStore::new());
        store.fail(Fault::Hang);
        let hanging = tokio::spawn({
            let store = store.clone();
            async move { store.insert(&event("a")).await }
        });
        while store.healed.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(store.recorded().is_empty());
        store.heal();
        assert_eq!(hanging.await.unwrap().unwrap(), [Inserted::Fresh]);
        assert_eq!(store.recorded().len(), 1);
    }

    #[tokio::test]
    async fn a_panic_on_demand_leaves_the_store_usable() {
        let store = Recording::new(MemoryStore::new());
        store.fail_next(1, Fault::Panic);
        let panicking = tokio::spawn({
            let store = store.clone();
            async move { store.insert(&event("a")).await }
        });
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(store.insert(&event("a")).await.unwrap(), [Inserted::Fresh]);
    }
}
