//! Files, records and leases for the tests beside.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions, Row, SqliteConnection, SqlitePool, query,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tempfile::TempDir;
use tower_callback::store::{
    Action, Inbox, Inserted, Lease, Leased, NewRecord, Queue, Settled, Settlement, SqliteStore,
    Store,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A directory for one database.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.file("callbacks.db")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).await.unwrap()
    }

    /// Somebody else's connection.
    pub(crate) async fn connect(&self) -> SqliteConnection {
        self.options().connect().await.unwrap()
    }

    pub(crate) async fn pool(&self, connections: u32) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .connect_with(self.options())
            .await
            .unwrap()
    }

    pub(crate) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.path())
            .create_if_missing(true)
    }

    pub(crate) async fn integrity(&self) -> String {
        let mut conn = self.connect().await;
        let row = query("PRAGMA integrity_check").fetch_one(&mut conn);
        row.await.unwrap().get(0)
    }
}

pub(crate) fn events() -> Queue {
    Queue::events("music-video")
}

pub(crate) fn record(key: &str) -> NewRecord {
    NewRecord::new(events(), key.to_owned(), format!("{{\"id\":\"{key}\"}}"))
}

pub(crate) fn settlement(lease: &Lease, action: Action) -> Settlement {
    Settlement::new(lease.clone(), action)
}

pub(crate) async fn put(store: &SqliteStore, record: &NewRecord) -> Inserted {
    let answers = store.insert(std::slice::from_ref(record)).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers[0]
}

/// Leases the only record that is due.
pub(crate) async fn lease(store: &SqliteStore, ttl: Duration) -> Leased {
    let mut leased = store.lease(&events(), 9, ttl).await.unwrap();
    assert_eq!(leased.len(), 1);
    leased.remove(0)
}

pub(crate) async fn settle(store: &SqliteStore, lease: &Lease, action: Action) -> Settled {
    store.settle(&[settlement(lease, action)]).await.unwrap()[0]
}
