//! A spool in front of a store that answers: nobody notices it.

use std::{path::Path, sync::Mutex};

use libtest_mimic::Trial;
use tempfile::TempDir;
use tower_callback::{
    store::{Spooled, SqliteStore},
    testing::conformance::{Fixture, Need, Process},
};

use crate::{child, suite};

const LACKS: &[Need] = &[Need::WrongClocks, Need::Connection];

pub(crate) fn trials() -> Vec<Trial> {
    suite::of("sqlite behind a spool", LACKS, || Ok(Behind::default()))
}

/// What another process opens.
pub(crate) async fn open(directory: &str) -> Spooled<SqliteStore> {
    open_in(directory.as_ref(), u64::MAX, "process.db").await
}

/// Everybody on the same store, with a spool of his own.
async fn open_in(directory: &Path, capacity: u64, spool: &str) -> Spooled<SqliteStore> {
    let options = SqliteStore::options().with_capacity(capacity);
    let store = options.open(directory.join("callbacks.db")).await.unwrap();
    let spool = directory.join(spool);
    let (spooled, forwarder) = Spooled::new(store, spool).await.unwrap();
    drop(forwarder);
    spooled
}

/// A directory for every store.
#[derive(Default)]
struct Behind(Mutex<Vec<TempDir>>);

impl Behind {
    async fn fresh(&self, capacity: u64) -> Spooled<SqliteStore> {
        self.0.lock().unwrap().push(tempfile::tempdir().unwrap());
        self.last(capacity, "spool.db").await
    }

    async fn last(&self, capacity: u64, spool: &str) -> Spooled<SqliteStore> {
        open_in(&self.directory(), capacity, spool).await
    }

    fn directory(&self) -> std::path::PathBuf {
        let dirs = self.0.lock().unwrap();
        dirs[dirs.len() - 1].path().to_owned()
    }
}

impl Fixture for Behind {
    type Store = Spooled<SqliteStore>;

    async fn open(&self) -> Spooled<SqliteStore> {
        self.fresh(u64::MAX).await
    }
    async fn open_bounded(&self, records: usize) -> Option<Spooled<SqliteStore>> {
        Some(self.fresh(records as u64).await)
    }
    async fn reopen(&self, store: Spooled<SqliteStore>) -> Option<Spooled<SqliteStore>> {
        drop(store);
        Some(self.last(u64::MAX, "spool.db").await)
    }
    async fn open_again(&self, _: &Spooled<SqliteStore>) -> Option<Spooled<SqliteStore>> {
        Some(self.last(u64::MAX, "another.db").await)
    }
    async fn process(&self, _: &Spooled<SqliteStore>, days_off: i64) -> Option<Process> {
        if days_off != 0 {
            return None;
        }
        let place = format!("sqlite behind a spool:{}", self.directory().display());
        let command = child::command(&place, days_off)?;
        Some(Process::start(command).unwrap())
    }
}
