//! A store whose settlements are written down.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tower_callback::store::{
    Action, Durability, Found, Inbox, Inserted, LeaseToken, Leased, NewRecord, Purged, Queue,
    Retention, Settled, Settlement, Store, StoreError,
};

use crate::journal::{Journal, What};

/// Writes down what is settled, and what is refused.
pub(crate) struct Watched<S> {
    store: S,
    journal: Journal,
    leased: Mutex<HashMap<LeaseToken, (String, u16)>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(store: S, journal: Journal) -> Self {
        Self {
            store,
            journal,
            leased: Mutex::default(),
        }
    }
}

impl<S: Store> Inbox for Watched<S> {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn commits_at_once(&self) -> usize {
        self.store.commits_at_once()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.store.insert(records).await
    }
}

impl<S: Store> Store for Watched<S> {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let leased = self.store.lease(queue, max, ttl).await?;
        let mut known = self.leased.lock().unwrap();
        for item in &leased {
            let task = String::from_utf8_lossy(&item.key).into_owned();
            known.insert(item.lease.token, (task, item.rank));
        }
        drop(known);
        Ok(leased)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let answers = self.store.settle(settlements).await?;
        for (settlement, answer) in settlements.iter().zip(&answers) {
            let what = match (&settlement.action, answer) {
                (Action::Done, Settled::Applied) => What::Done,
                (Action::Extend { .. }, Settled::Stale) => What::ExtendsNothing,
                (_, Settled::Stale) => What::SettlesNothing,
                (_, Settled::Applied | Settled::Busy) => continue,
            };
            let token = settlement.lease.token;
            let known = self.leased.lock().unwrap().get(&token).cloned();
            let (task, rank) = known.expect("what is settled was leased here");
            self.journal.write(what, &task, rank, token);
        }
        Ok(answers)
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.store.find(queue, key).await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.store.purge(retention).await
    }

    async fn changed(&self, queue: &Queue) {
        self.store.changed(queue).await;
    }
}
