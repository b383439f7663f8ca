//! The SQLite store, on files of its own and on a user's pool.

use std::{path::PathBuf, sync::Mutex};

use libtest_mimic::Trial;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;
use tower_callback::{
    store::{AnyStore, CompleteErrorKind, Lease, SqliteStore},
    testing::conformance::{Completed, Completes, Fixture, Need, Process},
};

use crate::{child, suite};

/// A file knows no other clock than that of the machine, and nothing lies between.
const LACKS: &[Need] = &[Need::WrongClocks, Need::Connection, Need::RowLocks];

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite::inspected("sqlite", LACKS, || Ok(OnFile::default())),
        suite::completing("sqlite", LACKS, || Ok(OnFile::default())),
        suite::of("sqlite on a pool, behind `AnyStore`", LACKS, || {
            Ok(OnPool::default())
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) async fn open(path: &str) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

pub(crate) async fn open_on_pool(path: &str) -> SqliteStore {
    SqliteStore::with_pool(pool(path.into()).await)
        .await
        .unwrap()
}

/// Another process on the file, if its clock is to be right.
fn process(kind: &str, path: PathBuf, days_off: i64) -> Option<Process> {
    if days_off != 0 {
        return None;
    }
    let place = format!("{kind}:{}", path.display());
    let command = child::command(&place, days_off)?;
    Some(Process::start(command).unwrap())
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
    async fn open_again(&self, _: &SqliteStore) -> Option<SqliteStore> {
        Some(SqliteStore::open(self.0.last()).await.unwrap())
    }
    async fn process(&self, _: &SqliteStore, days_off: i64) -> Option<Process> {
        process("sqlite", self.0.last(), days_off)
    }
}

impl Completes for OnFile {
    type Transaction = Transaction<'static, Sqlite>;

    const HOLDS_ROWS_ONLY: bool = false;

    async fn begin(&self, _: &SqliteStore) -> Self::Transaction {
        let pool = pool(self.0.last()).await;
        pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
    }
    async fn complete(&self, transaction: &mut Self::Transaction, lease: &Lease) -> Completed {
        match SqliteStore::complete(transaction, lease).await {
            Ok(()) => Completed::Now,
            Err(error) => match error.kind() {
                CompleteErrorKind::Completed => Completed::Before,
                CompleteErrorKind::Lost => Completed::Lost,
                _ => panic!("{error:?}"),
            },
        }
    }
    async fn commit(&self, transaction: Self::Transaction) {
        transaction.commit().await.unwrap();
    }
    async fn roll_back(&self, transaction: Self::Transaction) {
        transaction.rollback().await.unwrap();
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
    async fn open_again(&self, _: &AnyStore) -> Option<AnyStore> {
        let pool = pool(self.0.last()).await;
        Some(AnyStore::new(SqliteStore::with_pool(pool).await.unwrap()))
    }
    async fn process(&self, _: &AnyStore, days_off: i64) -> Option<Process> {
        process("sqlite on a pool", self.0.last(), days_off)
    }
}
