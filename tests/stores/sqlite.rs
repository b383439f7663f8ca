//! The SQLite store, on files of its own and on a user's pool.

use std::{path::PathBuf, sync::Mutex};

use libtest_mimic::Trial;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;
use tower_callback::{
    store::{AnyStore, SqliteStore},
    testing::conformance::Fixture,
};

use crate::suite;

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite::of("sqlite", &[], || Ok(OnFile::default())),
        suite::of("sqlite on a pool, behind `AnyStore`", &[], || {
            Ok(OnPool::default())
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A directory for every store.
#[derive(Default)]
struct Files(Mutex<Vec<TempDir>>);

impl Files {
    fn fresh(&self) -> PathBuf {
        let mut dirs = self.0.lock().unwrap();
        dirs.push(tempfile::tempdir().unwrap());
        dirs[dirs.len() - 1].path().join("callbacks.db")
    }

    fn last(&self) -> PathBuf {
        let dirs = self.0.lock().unwrap();
        dirs[dirs.len() - 1].path().join("callbacks.db")
    }
}

#[derive(Default)]
struct OnFile(Files);

impl Fixture for OnFile {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.fresh()).await.unwrap()
    }
    async fn open_bounded(&self, records: usize) -> Option<SqliteStore> {
        let options = SqliteStore::options().with_capacity(records as u64);
        Some(options.open(self.0.fresh()).await.unwrap())
    }
    async fn reopen(&self, store: SqliteStore) -> Option<SqliteStore> {
        drop(store);
        Some(SqliteStore::open(self.0.last()).await.unwrap())
    }
}

/// A pool whose settings are the worst that a user may have.
async fn pool(path: PathBuf) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .synchronous(SqliteSynchronous::Off);
    SqlitePoolOptions::new()
        .max_connections(5)
        .connect_with(options)
        .await
        .unwrap()
}

#[derive(Default)]
struct OnPool(Files);

impl Fixture for OnPool {
    type Store = AnyStore;

    async fn open(&self) -> AnyStore {
        let pool = pool(self.0.fresh()).await;
        AnyStore::new(SqliteStore::with_pool(pool).await.unwrap())
    }
    async fn open_bounded(&self, records: usize) -> Option<AnyStore> {
        let options = SqliteStore::options().with_capacity(records as u64);
        let pool = pool(self.0.fresh()).await;
        Some(AnyStore::new(options.with_pool(pool).await.unwrap()))
    }
    async fn reopen(&self, store: AnyStore) -> Option<AnyStore> {
        drop(store);
        let pool = pool(self.0.last()).await;
        Some(AnyStore::new(SqliteStore::with_pool(pool).await.unwrap()))
    }
}
