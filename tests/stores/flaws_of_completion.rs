//! The same store, in transactions of the user's.

use tower_callback::{
    store::{Action, Lease, Settlement, Store},
    testing::conformance::{Completed, Completes},
};

use crate::flaws::{Flaw, Flawed, FlawedStore};

/// What is done when it is committed.
pub(crate) struct Transaction {
    store: FlawedStore,
    completed: Vec<Lease>,
}

impl FlawedStore {
    async fn done(&self, lease: &Lease) {
        let done = Settlement::new(lease.clone(), Action::Done);
        self.store.settle(&[done]).await.unwrap();
        self.notes().completed.insert(lease.token);
    }
}

impl Completes for Flawed {
    type Transaction = Transaction;

    const HOLDS_ROWS_ONLY: bool = true;

    async fn begin(&self, store: &FlawedStore) -> Transaction {
        Transaction {
            store: store.clone(),
            completed: Vec::new(),
        }
    }

    async fn complete(&self, transaction: &mut Transaction, lease: &Lease) -> Completed {
        let Transaction { store, completed } = transaction;
        let Some(key) = store.notes().keys.get(&lease.token).cloned() else {
            return Completed::Lost;
        };
        let found = store.store.find(&lease.queue, &key).await.unwrap();
        let settled = found.is_some_and(|found| found.settled_by == Some(lease.token));
        let last = store.notes().leases.get(&key).map(|last| last.token);
        if settled && !store.has(Flaw::CompletesTwice) {
            let before = store.notes().completed.contains(&lease.token);
            return if before {
                Completed::Before
            } else {
                Completed::Lost
            };
        }
        if last != Some(lease.token) && !store.has(Flaw::CompletesWhatIsLost) {
            return Completed::Lost;
        }
        if store.has(Flaw::CompletesAtOnce) {
            store.done(lease).await;
        }
        store.notes().held.insert(key);
        completed.push(lease.clone());
        Completed::Now
    }

    async fn commit(&self, transaction: Transaction) {
        let store = &transaction.store;
        store.notes().held.clear();
        for lease in &transaction.completed {
            store.done(lease).await;
        }
    }

    async fn roll_back(&self, transaction: Transaction) {
        transaction.store.notes().held.clear();
    }
}
