//! The store in a PostgreSQL database.

mod batch;
mod calls;
mod complete;
mod db_error;
mod find;
mod insert;
mod inspect;
mod lease;
mod migrate;
mod options;
mod probe;
mod purge;
mod room;
mod rows;
mod settle;
mod statements;
mod wake;

#[cfg(any(test, feature = "testing"))]
pub(super) use self::migrate::drop_schema;
pub use self::options::PostgresOptions;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, Postgres, Transaction};

use self::{
    calls::Calls,
    lease::Cursors,
    room::Room,
    settle::HeldUp,
    statements::Statements,
    wake::{Bell, Ear},
};
use super::{
    CompleteError, Durability, Found, Inbox, Inserted, Lease, Leased, NewRecord, OpenError, Purged,
    Queue, RecordId, Retention, Settled, Settlement, Store, StoreError,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};

/// A durable store in a PostgreSQL database, from version 13 on: for fronts and workers in several
/// processes, on several machines.
///
/// Clones are the same store. Any number of stores, of any number of processes, may live in one
/// schema.
///
/// ```no_run
/// # async fn open(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use tower_callback::store::PostgresStore;
///
/// let store = PostgresStore::with_pool(pool).await?;
/// # Ok(())
/// # }
/// ```
///
/// Opening makes the tables, in a schema of their own, and upgrades older ones: many processes may do so at
/// once. For that the first one needs the right to create a schema, or tables in one that is there;
/// afterwards the rights to use the schema, its tables and its functions are enough.
///
/// # Durability
///
/// An insert is answered when its transaction is committed and in the log on disk. Settings that
/// would undo that:
///
/// - `synchronous_commit` below `on`, of the server, the database, the role or the session, is raised
///   for each of the store's transactions, and for nothing else.
/// - With `fsync=off` nothing is durable: the store does not open, and inserts are unavailable when
///   it is switched off later. `full_page_writes=off` is between you and your file system.
/// - An asynchronous standby does not have what was acknowledged in the last moments. A failover
///   to it loses these events, and brings back some that were done: they are handled again. With
///   [`require_sync_standby`](PostgresOptions::require_sync_standby) nothing is acknowledged that a
///   synchronous standby does not have on disk.
/// - A transaction of yours with [`complete`](Self::complete) has your own settings: lost in a crash
///   with them is what you wrote together with the completion, and the event is handled again.
///
/// # When the server is away
///
/// A lost connection, a restart, a failover (a server that is read-only now), a conflict, an exhausted
/// pool: the call is [`Unavailable`](super::StoreErrorKind::Unavailable), its connection is closed,
/// and the next call takes another one. No restart is needed. A call that is dropped midway closes
/// its connection; what it was committing is committed or not.
///
/// # Time
///
/// Times are the server's `clock_timestamp()`, never a process's: workers whose clocks differ agree. A
/// server's clock that is set forward ends leases and retention early, one that is set back (also by a
/// failover to a machine whose clock is behind) delays what is due by as much.
///
/// # PgBouncer
///
/// Poolers in transaction mode are supported. The store finds out that it is behind one, and then uses no
/// prepared statements and no session state: each call is one transaction, of four round trips instead
/// of one. What is not used there is `LISTEN`, for which a session is needed: workers poll, once a
/// second by default, unless [a server](PostgresOptions::with_listener) is named. PgBouncer itself
/// needs `ignore_startup_parameters = extra_float_digits`, or `extra_float_digits(None)` on the
/// pool's options.
///
/// # Counts
///
/// [`Counts::done`] ends at a million: a server counts that many in some tenths of a second, and
/// remembered keys may be many more.
///
/// # Security
///
/// Bodies and headers of callbacks are parameters of statements, never text: they do not appear in the
/// server's log (unless `log_parameter_max_length` or `auto_explain` say so), nor in sqlx's. They are
/// in the tables until they are purged, in the write-ahead log, on standbys and in backups. Let
/// nobody read the schema who must not read them. Notifications, which every role of the
/// database may listen to, name queues by a hash and tell nothing else.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    calls: Calls,
    statements: Statements,
    guard: Guard,
    quarantine: i64,
    room: Room,
    cursors: Cursors,
    held_up: HeldUp,
    bell: Bell,
    ear: Ear,
    dropped: Mutex<HashMap<Queue, u64>>,
    schema: String,
}

/// What every transaction that writes asks of the server.
struct Guard {
    /// That there is a synchronous standby.
    standby: bool,
    /// Nothing, not even `fsync`.
    unsafe_fsync: bool,
    /// How long it waits for a lock, in milliseconds.
    patience: i32,
}

impl PostgresStore {
    /// Connects to a server by its URL, with a pool of its own.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`](super::OpenErrorKind). No error holds the URL.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::options().open(url).await
    }

    /// Lives in your own database, in the schema `tower_callback`, on your own pool.
    ///
    /// The pool needs connections to spare: four or so for inserts and as many for workers. By default
    /// sqlx asks the server before each call whether the connection is good, which doubles the
    /// round trips: `test_before_acquire(false)` on the pool is safe here. A call that
    /// does not get one within the pool's `acquire_timeout` is unavailable; sqlx's default of 30 s is longer
    /// than providers wait, and a few seconds are better.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`](super::OpenErrorKind).
    pub async fn with_pool(pool: PgPool) -> Result<Self, OpenError> {
        Self::options().with_pool(pool).await
    }

    /// Options, and then [`open`](PostgresOptions::open) or
    /// [`with_pool`](PostgresOptions::with_pool).
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Settles a lease as done inside a transaction of your own, in the database that the store is in:
    /// what the handler writes there takes effect exactly once.
    ///
    /// Commit it if this succeeds; roll it back if it fails or was dropped before it answered. A
    /// lease is completed once: the second time is
    /// [`Completed`](super::CompleteErrorKind::Completed), so that a transaction whose commit was
    /// ambiguous can be repeated.
    ///
    /// Keep the transaction short once this is called: until its end, the lease cannot be extended, a better
    /// event for the same key is answered with 503, and other settlements of the record wait.
    /// READ COMMITTED is the level for it: under a higher one it fails as soon as the lease was
    /// extended since the transaction's first statement.
    ///
    /// # Errors
    ///
    /// When the lease is not yours any more, was completed before, or the database fails.
    pub async fn complete(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        lease: &Lease,
    ) -> Result<(), CompleteError> {
        // Before anything is awaited: from here on, only the commit says that the event is done.
        lease.mark_completing();
        complete::complete(transaction, &self.0.statements.complete, lease).await
    }
}

impl Shared {
    fn count_dropped(&self, queue: &Queue, count: u64) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry(queue.clone()).or_default() += count;
    }

    fn dropped(&self, queue: &Queue) -> u64 {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.get(queue).copied().unwrap_or(0)
    }
}

impl Inbox for PostgresStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        insert::insert(&self.0, records).await
    }

    /// One waits for the disk while the next is executed. With more, batches are smaller, and each has a
    /// price of its own: with four, 64 callers got a fifth less done.
    fn commits_at_once(&self) -> usize {
        2
    }
}

impl Store for PostgresStore {
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

    async fn changed(&self, queue: &Queue) {
        self.0.ear.changed(queue).await;
    }
}

impl Inspect for PostgresStore {
    async fn counts(&self, queue: &Queue) -> Result<Counts, StoreError> {
        inspect::counts(&self.0, queue).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        inspect::queues(&self.0).await
    }

    async fn list(&self, queue: &Queue, listing: &Listing) -> Result<Page, StoreError> {
        inspect::list(&self.0, queue, listing).await
    }

    async fn look(&self, queue: &Queue, id: RecordId) -> Result<Option<Record>, StoreError> {
        inspect::look(&self.0, queue, id).await
    }

    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Requeued>, StoreError> {
        inspect::requeue(&self.0, queue, ids).await
    }

    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Deleted>, StoreError> {
        inspect::delete(&self.0, queue, ids).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.0.schema)
            .finish_non_exhaustive()
    }
}
