//! What the SQLite store promises beyond the contract of every store.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use tempfile::TempDir;
use tower_callback::{
    store::{
        Action, Inbox, Inserted, Inspect, Lease, NewRecord, Queue, Settled, Settlement,
        SqliteStore, State, Store,
    },
    testing::conformance::Fixture,
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

/// A new file for every store.
#[derive(Default)]
struct OnFile(Mutex<Vec<Place>>);

impl OnFile {
    fn place(&self) -> PathBuf {
        let place = Place::new();
        let path = place.path();
        self.0.lock().unwrap().push(place);
        path
    }
}

impl Fixture for OnFile {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.place()).await.unwrap()
    }
    async fn open_bounded(&self, records: usize) -> Option<SqliteStore> {
        let options = SqliteStore::options().with_capacity(records as u64);
        Some(options.open(self.place()).await.unwrap())
    }
    async fn reopen(&self, store: SqliteStore) -> Option<SqliteStore> {
        drop(store);
        let path = self.0.lock().unwrap().last()?.path();
        Some(SqliteStore::open(path).await.unwrap())
    }
}

mod conformance {
    tower_callback::store_conformance!(super::OnFile::default());
}
