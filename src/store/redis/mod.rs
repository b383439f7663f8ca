//! The store on Redis.

mod changed;
mod connect_error;
mod connection;
mod find;
mod insert;
mod inspect;
mod layout;
mod lease;
mod list;
mod operate;
mod options;
mod purge;
mod scripts;
mod settings;
mod settle;

pub use self::{
    connect_error::{RedisConnectError, RedisConnectErrorKind},
    options::{DangerousRedisOptions, RedisOptions},
};

use std::{fmt, sync::Arc, time::Duration};

use self::{
    changed::Listeners,
    connection::{Lane, Servers},
};
use super::{
    Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, RecordId, Retention,
    Settled, Settlement, Store, StoreError,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};

/// A durable store on a Redis server, or on a cluster, that many processes share.
///
/// Clones are the same store.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_callback::store::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// # Ok(())
/// # }
/// ```
///
/// It needs Redis 7.0, or Valkey. Every call is one script that decides and writes in one step inside the
/// server, and checks everything before its first write.
///
/// # Durability
///
/// A Redis server is no durable store unless it is told to be one. On every connection, also after it
/// was lost, these settings are read, and the store is unavailable while one of them is wrong; the
/// error says which, and what it has to be:
///
/// | setting | value | otherwise |
/// | --- | --- | --- |
/// | `appendonly` | `yes` | everything is in memory only |
/// | `appendfsync` | `always` | the last second, or more, is lost with the machine |
/// | `no-appendfsync-on-rewrite` | `no` | nothing is synced while a file is rewritten |
/// | `maxmemory-policy` | `noeviction` | records are thrown away when memory is used up |
///
/// With these, the server answers only after it has synced its append-only file, so that what was
/// acknowledged survives its end, a `kill -9` and, as far as the disk keeps what it synced, a power
/// failure. What Redis cannot promise:
///
/// - **Replicas** are asynchronous: one that takes over lacks what it had not received, and
///   brings back what was done since. [`with_waitaof`](RedisOptions::with_waitaof) acknowledges an
///   insert only when replicas have it on their disks; whoever chooses which replica takes over must
///   choose one of these.
/// - **A setting that is changed** while the connection lasts is noticed at the next one.
/// - **`FLUSHALL`**, `DEL` and the like are obeyed. Give the store a server, or at least a
///   user with rights (ACL), of its own.
///
/// Managed services mostly hide these settings: see
/// [`trust_hidden_settings`](DangerousRedisOptions::trust_hidden_settings).
///
/// # When memory is used up
///
/// At `maxmemory`, new records are [`Full`](Inserted::Full), while repeats are told as ever, and
/// upgrades, leases, settlements, lookups and purges go on, for which the scripts carry Redis's flag
/// `allow-oom`. Leave the server some memory beyond `maxmemory` for that.
///
/// A pending record takes some 330 bytes beside key, meta and body. When its body has been purged,
/// what is remembered of its key takes about 90 bytes (120 with only 100,000 keys): its hash; the id,
/// the rank and the digest of the body, which repeats are told and compared with; the token and the
/// time of the last settlement, which [`find`](Store::find) and operators are told; and its place in
/// the order of settlement, in which keys are listed and forgotten. Keys are kept in 65,536 small
/// hashes, which are compact up to about 6 million keys; for more, raise
/// `hash-max-listpack-entries` in proportion.
///
/// # Speed
///
/// The server does one thing at a time. In batches of hundreds, it takes about 20 µs of a core for each
/// small record from insert to settlement, and one sync for each batch.
///
/// # Limits
///
/// A record may take 512 MiB. A lease answers 1,000 records at most, and about 32 MiB. Of an error,
/// 4 KiB are kept.
///
/// What [quarantine dropped](super::inspect::Counts::dropped) is counted for all processes since the
/// store was made.
///
/// # Cluster
///
/// All keys of a store have one hash tag, its [name](RedisOptions::with_name), and so are in one slot, on
/// one node. The store finds that node from any other, and follows when the slot moves. While it is
/// moving, calls may fail; they can be repeated. The scripts name one key of their slot and
/// reach others there, which Redis and Valkey allow; proxies and imitations that want every key
/// to be named are not supported.
///
/// # Connections
///
/// Two, each made when first needed and made anew after a failure: one for inserts, one for everything
/// else; and one for each queue that a worker [waits](Store::changed) for. A call that fails says
/// [`Unavailable`](super::StoreErrorKind::Unavailable), and the next one connects again, on
/// whichever of them: nothing has to be restarted.
///
/// # Time
///
/// The server's clock, which never runs backwards: where it was set back, time goes on from the
/// latest that was written, also on a replica that took over. A clock that is set forward ends
/// leases early and lets what was to be kept until then be purged.
///
/// # Cancellation
///
/// A call that is dropped midway was made or was not.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    servers: Servers,
    /// Apart from the rest, so that neither bodies on their way in nor waiting for replicas keep
    /// heartbeats waiting.
    inserts: Lane,
    rest: Lane,
    listeners: Listeners,
    capacity: u64,
    quarantine: u64,
    wake_up: bool,
}

impl RedisStore {
    /// Connects to a server, or to the cluster that it is a node of: `redis://host:port`, or
    /// `rediss://` for TLS.
    ///
    /// # Errors
    ///
    /// See [`RedisConnectErrorKind`].
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, RedisConnectError> {
        Self::options().connect(url).await
    }

    /// Options, and then [`connect`](RedisOptions::connect).
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// Removes everything that the store has.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::store) async fn clear(&self) -> Result<(), StoreError> {
        purge::clear(&self.0).await
    }

    async fn open(servers: Servers, options: RedisOptions) -> Result<Self, RedisConnectError> {
        let store = Self(Arc::new(Shared {
            servers,
            inserts: Lane::default(),
            rest: Lane::default(),
            listeners: Listeners::default(),
            capacity: options.capacity,
            quarantine: options.quarantine,
            wake_up: options.wake_up,
        }));
        store.0.inserts.prove(&store.0.servers).await?;
        Ok(store)
    }
}

impl Inbox for RedisStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        insert::insert(&self.0, records).await
    }

    /// One is synced while the next is on its way.
    fn commits_at_once(&self) -> usize {
        2
    }
}

impl Store for RedisStore {
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
        if !self.0.wake_up {
            return std::future::pending().await;
        }
        changed::changed(&self.0, queue).await;
    }
}

impl Inspect for RedisStore {
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

/// Without the server's address, which may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("keys", &self.0.servers.base)
            .finish_non_exhaustive()
    }
}
