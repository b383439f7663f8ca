//! A spool in front of a store that answers: nobody notices it.

use std::sync::Mutex;

use libtest_mimic::Trial;
use tempfile::TempDir;
use tower_callback::{
    store::{Spooled, SqliteStore},
    testing::conformance::Fixture,
};

use crate::suite;

pub(crate) fn trials() -> Vec<Trial> {
    suite::of("sqlite behind a spool", &[], || Ok(Behind::default()))
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
        let [file, spool] = {
            let dirs = self.0.lock().unwrap();
            ["callbacks.db", spool].map(|name| dirs[dirs.len() - 1].path().join(name))
        };
        let options = SqliteStore::options().with_capacity(capacity);
        let store = options.open(file).await.unwrap();
        let (spooled, forwarder) = Spooled::new(store, spool).await.unwrap();
        drop(forwarder);
        spooled
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
    /// Every replica has a spool of its own.
    async fn open_again(&self, _: &Spooled<SqliteStore>) -> Option<Spooled<SqliteStore>> {
        Some(self.last(u64::MAX, "another.db").await)
    }
}
