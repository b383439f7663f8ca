//! The store in a file, whose clock is turned through the file: it never runs behind the latest time
//! that was written there.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{Connection, SqliteConnection, query, raw_sql, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tower_callback::{
    SqliteStore,
    store::{Inbox, NewRecord, Queue, Store},
};

use super::{Limits, Subject};

pub(crate) struct Sqlite {
    store: SqliteStore,
    hands: SqliteConnection,
    millis: u128,
    _directory: TempDir,
}

/// A queue for the time alone.
const CLOCK: &str = "clock";

impl Sqlite {
    pub(crate) async fn new(limits: Limits) -> Self {
        // What is in memory is as good here, and spares the disk.
        let memory = Path::new("/dev/shm");
        let directory = match tempfile::tempdir_in(memory) {
            Ok(directory) => directory,
            Err(_) => tempfile::tempdir().unwrap(),
        };
        let path = directory.path().join("model.db");
        let store = SqliteStore::options()
            .with_reserve(0)
            .with_capacity(limits.capacity as u64)
            .with_quarantine(limits.quarantine as u64)
            .open(&path)
            .await
            .unwrap();
        let clock = NewRecord::new(Queue::events(CLOCK), "tick", "tock");
        store.insert(&[clock]).await.unwrap();
        let options = SqliteConnectOptions::new().filename(&path);
        let hands = SqliteConnection::connect_with(&options).await.unwrap();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut sqlite = Self {
            store,
            hands,
            millis: wall.as_millis(),
            _directory: directory,
        };
        sqlite.clear().await;
        sqlite
    }
}

impl Subject for Sqlite {
    type Store = SqliteStore;

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    async fn advance(&mut self, by: Duration) {
        self.millis += by.as_millis();
        query("UPDATE tower_callback_queue SET clock = ? WHERE endpoint = 'clock'")
            .bind(i64::try_from(self.millis).unwrap())
            .execute(&mut self.hands)
            .await
            .unwrap();
        // Whoever looks for work reads what the time is by now.
        let ttl = Duration::from_secs(1);
        let idle = self.store.lease(&Queue::events(CLOCK), 1, ttl).await;
        assert!(idle.unwrap().is_empty());
    }

    async fn clear(&mut self) {
        raw_sql(
            "BEGIN IMMEDIATE;
            DELETE FROM tower_callback_record;
            DELETE FROM tower_callback_seen;
            DELETE FROM tower_callback_queue WHERE endpoint <> 'clock';
            UPDATE tower_callback_queue SET live = 0;
            COMMIT",
        )
        .execute(&mut self.hands)
        .await
        .unwrap();
    }

    fn is_own(&self, queue: &Queue) -> bool {
        queue.endpoint() == CLOCK
    }
}
