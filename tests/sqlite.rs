//! What the SQLite store promises beyond the contract of every store.

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;
use tower_callback::store::{
    Action, Inbox, Inserted, Inspect, Lease, NewRecord, Queue, Settled, Settlement, SqliteStore,
    State, Store,
};

const MINUTE: Duration = Duration::from_secs(60);

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("callbacks.db")
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).await.unwrap()
    }
}

fn events() -> Queue {
    Queue::events("music-video")
}

fn record(key: &str) -> NewRecord {
    NewRecord::new(events(), key.to_owned(), format!("{{\"id\":\"{key}\"}}"))
}

fn settlement(lease: &Lease, action: Action) -> Settlement {
    Settlement::new(lease.clone(), action)
}

#[tokio::test]
async fn a_reopened_store_has_everything_that_was_acknowledged() {
    let place = Place::new();
    let store = place.open().await;
    let (done, leased, waiting) = (record("done"), record("leased"), record("waiting"));
    let answers = store
        .insert(&[done.clone(), leased.clone(), waiting.clone()])
        .await
        .unwrap();
    assert_eq!(answers, [Inserted::Fresh; 3]);
    let leases = store.lease(&events(), 2, MINUTE).await.unwrap();
    let settled = store
        .settle(&[settlement(&leases[0].lease, Action::Done)])
        .await
        .unwrap();
    assert_eq!(settled, [Settled::Applied]);
    drop(store);

    let store = place.open().await;
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.pending, counts.leased, counts.done), (1, 1, 1));
    let found = store.find(&events(), b"done").await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    assert_eq!(found.settled_by, Some(leases[0].lease.token));
    assert_eq!(found.body.as_deref(), Some(&*done.body));
    let again = store
        .settle(&[
            settlement(&leases[0].lease, Action::Done),
            settlement(&leases[1].lease, Action::Done),
        ])
        .await
        .unwrap();
    assert_eq!(again, [Settled::Applied; 2]);
    let rest = store.lease(&events(), 9, MINUTE).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].body, waiting.body);
}
