//! A spool in front of a store that answers: nobody behind it notices.

use std::{path::Path, sync::Mutex, time::Duration};

use libtest_mimic::Trial;
use tempfile::TempDir;
use tower_callback::{
    clock::ManualClock,
    store::{
        Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, Retention, Settled,
        Settlement, Spooled, SqliteStore, Store, StoreError,
    },
    testing::conformance::{Fixture, Need, Process},
};

use crate::{child, suite};

const LACKS: &[Need] = &[Need::WrongClocks, Need::Connection];

pub(crate) fn trials() -> Vec<Trial> {
    suite::of("sqlite behind a spool", LACKS, || Ok(Behind::default()))
}

/// What another process opens.
pub(crate) async fn open(directory: &str) -> Split {
    open_in(directory.as_ref(), u64::MAX, "process.db").await
}

/// Everybody on the same store, with a spool of his own.
async fn open_in(directory: &Path, capacity: u64, spool: &str) -> Split {
    let options = SqliteStore::options().with_capacity(capacity);
    let store = options.open(directory.join("callbacks.db")).await.unwrap();
    let spool = directory.join(spool);
    let (spooled, forwarder) = Spooled::new(store, spool).await.unwrap();
    drop(forwarder);
    Split(spooled)
}

/// What a front and a worker make together: the one inserts by the spool, the other has the store.
pub(crate) struct Split(Spooled<SqliteStore>);

impl Inbox for Split {
    fn durability(&self) -> Durability {
        self.0.durability()
    }
    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.0.insert(records).await
    }
    fn commits_at_once(&self) -> usize {
        self.0.commits_at_once()
    }
    fn manual_clock(&self) -> Option<&ManualClock> {
        self.0.manual_clock()
    }
}

impl Store for Split {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        self.0.get_ref().lease(queue, max, ttl).await
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.0.get_ref().settle(settlements).await
    }
    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.0.get_ref().find(queue, key).await
    }
    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.0.get_ref().purge(retention).await
    }
    async fn changed(&self, queue: &Queue) {
        self.0.get_ref().changed(queue).await;
    }
}

/// A directory for every store.
#[derive(Default)]
struct Behind(Mutex<Vec<TempDir>>);

impl Behind {
    async fn fresh(&self, capacity: u64) -> Split {
        self.0.lock().unwrap().push(tempfile::tempdir().unwrap());
        self.last(capacity, "spool.db").await
    }

    async fn last(&self, capacity: u64, spool: &str) -> Split {
        open_in(&self.directory(), capacity, spool).await
    }

    fn directory(&self) -> std::path::PathBuf {
        let dirs = self.0.lock().unwrap();
        dirs[dirs.len() - 1].path().to_owned()
    }
}

impl Fixture for Behind {
    type Store = Split;

    async fn open(&self) -> Split {
        self.fresh(u64::MAX).await
    }
    async fn open_bounded(&self, records: usize) -> Option<Split> {
        Some(self.fresh(records as u64).await)
    }
    async fn reopen(&self, store: Split) -> Option<Split> {
        drop(store);
        Some(self.last(u64::MAX, "spool.db").await)
    }
    async fn open_again(&self, _: &Split) -> Option<Split> {
        Some(self.last(u64::MAX, "another.db").await)
    }
    async fn process(&self, _: &Split, days_off: i64) -> Option<Process> {
        if days_off != 0 {
            return None;
        }
        let place = format!("sqlite behind a spool:{}", self.directory().display());
        let command = child::command(&place, days_off)?;
        Some(Process::start(command).unwrap())
    }
}
