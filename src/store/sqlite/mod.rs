//! The store in one SQLite file.

mod clock;
mod complete;
mod connections;
mod db_error;
mod find;
mod guard;
mod insert;
mod inspect;
mod lease;
mod list;
mod locate;
mod open_error;
mod operate;
mod options;
mod plan;
mod purge;
mod queues;
mod rows;
mod schema;
mod settings;
mod settle;
mod waiting;

pub use self::options::SqliteOptions;
pub(super) use self::waiting::{Fate, Outcome, Waiting};

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Sqlite, SqlitePool, Transaction};

use self::{
    clock::StoreClock,
    connections::Connections,
    open_error::{OpenError, OpenErrorKind},
};
use super::{
    CompleteError, Durability, Found, Inbox, Inserted, Lease, Leased, NewRecord, Purged, Queue,
    RecordId, Retention, Settled, Settlement, Store, StoreError,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};
use crate::{count, disk::free_space};

/// A durable store in one SQLite file.
///
/// Clones are the same store. Several stores, also of several processes, may live on one file.
///
/// ```no_run
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_callback::store::SqliteStore;
///
/// let store = SqliteStore::open("callbacks.db").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Durability
///
/// An insert is answered when its transaction is in the write-ahead log and the log is synced:
/// `journal_mode=WAL` and `synchronous=FULL` are set on every connection and read back
/// (`fullfsync` too, which matters on Apple's systems). What else touches the file can still undo that:
///
/// - Another program, or another connection of yours, that writes with `synchronous=OFF` may restart
///   the log without a sync, and take acknowledged records along at the next power failure.
///   Give every connection to the file at least `NORMAL`.
/// - Network and shared file systems are refused, because SQLite's locks and shared memory do not
///   hold there. On Linux those in user space (FUSE) are known by name: `sshfs`, GlusterFS, `rclone`
///   and their like are refused, and what is not known is accepted. So are the folders that
///   a virtual machine shares with its host by virtiofs or gRPC-FUSE, as Docker Desktop does: only
///   one side may open the file there. Better use a disk of the machine's own.
/// - Below a [reserve](SqliteOptions::with_reserve) of free space, inserts are unavailable; settling and
///   purging go on.
/// - After an error of the disk, the call is answered with
///   [`Unavailable`](super::StoreErrorKind::Unavailable), and its connection is closed. No other
///   connection of the store's own file that was open is used again: the next call opens the file
///   anew, and syncs it. The idle connections of [a pool](Self::with_pool) are not the store's to
///   close, and go on to be used.
/// - When another file is found at the path, it is opened; what was being written at that moment
///   is not acknowledged. When there is none, the store is unavailable until there is.
///
/// What is purged leaves room for what comes: the file itself does not shrink, unless you `VACUUM` it.
///
/// # Time
///
/// Milliseconds of the wall clock that never run backwards: while the wall clock is behind the latest
/// time that was written to the file, time goes on from there.
///
/// A wall clock that is set forward cannot be told from a machine that slept. Leases expire, so that
/// what is being handled may be handled a second time at once, and retries come early. Set
/// forward further than the [retention](Retention), it lets bodies, dead letters and remembered
/// keys be purged: a repeat of a forgotten event is a new one. Set right again, the store stays
/// ahead until the wall clock is there.
///
/// # Cancellation
///
/// A call that is dropped midway closes its connection, which rolls back. If it was committing, the
/// commit happens or not.
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    connections: Connections,
    clock: StoreClock,
    reserve: u64,
    capacity: u64,
    capacity_bytes: u64,
    quarantine: u64,
    counts_quarantine: bool,
    dropped: Mutex<HashMap<Queue, u64>>,
}

impl SqliteStore {
    /// Opens a file, or creates it. Its directory must exist.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path).await
    }

    /// Lives in your own database, in tables whose names begin with `tower_callback_`.
    ///
    /// The database must be a file; it is switched to the write-ahead log. Every connection that
    /// the store takes from the pool is set to `synchronous=FULL` before use, and stays so.
    ///
    /// SQLite has one write lock for the whole file: a transaction of yours that writes keeps inserts and
    /// settlements waiting. Keep such transactions short, and begin them with `BEGIN IMMEDIATE`. The
    /// pool needs connections to spare: up to one more than
    /// [readers](SqliteOptions::with_readers) are taken at once.
    ///
    /// When another file is found at the path, the store is unavailable until the pool is opened
    /// anew, since the pool's connections go on with the old one.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`].
    pub async fn with_pool(pool: SqlitePool) -> Result<Self, OpenError> {
        Self::options().with_pool(pool).await
    }

    /// Options, and then [`open`](SqliteOptions::open) or [`with_pool`](SqliteOptions::with_pool).
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    /// Settles a lease as done inside a transaction of your own, on the database that the store is
    /// in: what the handler writes there takes effect exactly once.
    ///
    /// Commit it if this succeeds; roll it back if it fails or was dropped before it answered. A
    /// lease is completed once: the second time is [`Completed`](super::CompleteErrorKind::Completed), so
    /// that a transaction whose commit was ambiguous can be repeated.
    ///
    /// Begin the transaction with `BEGIN IMMEDIATE` (`begin_with`). A plain `BEGIN` that read
    /// before it writes fails at once if somebody else wrote in between. Keep it short: it
    /// holds the file's only write lock.
    ///
    /// # Errors
    ///
    /// When the lease is not yours any more, was completed before, or the database fails.
    pub async fn complete(
        transaction: &mut Transaction<'_, Sqlite>,
        lease: &Lease,
    ) -> Result<(), CompleteError> {
        // Before anything is awaited: from here on, only the commit says that the event is done.
        lease.mark_completing();
        complete::complete(transaction, lease).await
    }

    fn new(connections: Connections, options: SqliteOptions) -> Self {
        Self(Arc::new(Shared {
            connections,
            clock: StoreClock::new(),
            reserve: options.reserve,
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            quarantine: options.quarantine,
            counts_quarantine: options.counts_quarantine,
            dropped: Mutex::default(),
        }))
    }
}

impl Shared {
    /// Fails when there is less free space than the reserve.
    fn check_reserve(&self) -> Result<(), StoreError> {
        let path = self.connections.path();
        let free = free_space(path).map_err(StoreError::unavailable)?;
        if let Some(free) = free {
            count::disk("sqlite", free, self.reserve);
        }
        match free {
            Some(free) if free < self.reserve => Err(StoreError::unavailable(
                "less disk space is free than the reserve",
            )),
            _ => Ok(()),
        }
    }

    /// How many new records there is room for.
    fn room(&self, live: u64) -> u64 {
        self.capacity.saturating_sub(live)
    }

    fn count_dropped(&self, queue: &Queue, count: u64) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry(queue.clone()).or_default() += count;
    }

    fn dropped(&self, queue: &Queue) -> u64 {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.get(queue).copied().unwrap_or(0)
    }
}

impl Inbox for SqliteStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        insert::insert(&self.0, records).await
    }
}

impl Store for SqliteStore {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        lease::lease(&self.0, queue, max, ttl).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        settle::settle(&self.0, settlements).await
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        find::find(&self.0, queue, key).await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        purge::purge(&self.0, retention).await
    }
}

impl Inspect for SqliteStore {
    async fn counts(&self, queue: &Queue) -> Result<Counts, StoreError> {
        inspect::counts(&self.0, queue).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        inspect::queues(&self.0).await
    }

    async fn list(&self, queue: &Queue, listing: &Listing) -> Result<Page, StoreError> {
        list::list(&self.0, queue, listing).await
    }

    async fn look(&self, queue: &Queue, id: RecordId) -> Result<Option<Record>, StoreError> {
        inspect::look(&self.0, queue, id).await
    }

    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Requeued>, StoreError> {
        operate::requeue(&self.0, queue, ids).await
    }

    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Deleted>, StoreError> {
        operate::delete(&self.0, queue, ids).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.0.connections.path())
            .finish_non_exhaustive()
    }
}
