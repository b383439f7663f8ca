//! Where events are kept: the contract of a store, and the stores that ship with the crate.
//!
//! | tier | methods | enough for |
//! | --- | --- | --- |
//! | [`Inbox`] | `insert` | a front |
//! | [`Store`] | `lease`, `settle`, `find`, `purge`, and `changed` | everything that handles |
//! | [`Inspect`] | `counts`, `queues`, `list`, `look`, `requeue`, `delete` | [operators](inspect) |
//!
//! A store knows keys and bytes, not event types. One that is not shipped is an implementation of
//! [`Inbox`] and [`Store`] whose clauses `testing::conformance` (feature `testing`) checks.
//!
#![doc = include_str!("../../docs/your-own-store.md")]

mod commit;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod complete_error;
mod erased;
mod error;
mod forward;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod hash;
mod ids;
pub mod inspect;
mod lease;
mod memory;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod open_error;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod retention;
mod settlement;
#[cfg(feature = "sqlite")]
mod spool;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod url;

pub use self::{
    erased::{AnyInbox, AnyInspect, AnyStore},
    error::{StoreError, StoreErrorKind},
    ids::{InvalidRecordId, LeaseToken, RecordId},
    inspect::{Counts, Inspect},
    lease::{Lease, Leased},
    memory::MemoryStore,
    record::{Found, Inserted, NewRecord, Queue, QueueKind, State},
    retention::{Purged, Retention},
    settlement::{Action, Settled, Settlement},
};

pub(crate) use self::commit::Committer;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::complete_error::{CompleteError, CompleteErrorKind};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::forward::forward;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{
    DangerousRedisOptions, RedisConnectError, RedisConnectErrorKind, RedisOptions, RedisStore,
};
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
pub use self::{
    open_error::{OpenError, OpenErrorKind},
    url::StoreUrl,
};
#[cfg(feature = "sqlite")]
pub use self::{
    spool::{Backlog, Forwarder, SpoolOptions, Spooled},
    sqlite::{SqliteOptions, SqliteStore},
};

use std::time::Duration;

use crate::clock::ManualClock;

/// Whether what a store has acknowledged survives the end of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It does: `insert` answers only when the record is on disk.
    Durable,
    /// It does not: for tests, and for events that one can afford to lose.
    Volatile,
}

/// The tier that a front needs: somewhere to put events.
///
/// # Contract
///
/// - **Only when durable.** [`insert`](Self::insert) answers [`Inserted::Fresh`],
///   [`Upgraded`](Inserted::Upgraded) or [`Duplicate`](Inserted::Duplicate) when the record it
///   speaks of is durable. That holds for a duplicate's *first* copy too: with concurrent batches,
///   repeats within one batch, and caches.
/// - **Per record, in order.** One answer for each record. A batch is no transaction: a bad record
///   does not fail its neighbours, though an error of the whole call may.
/// - **Same id, same insert.** Inserting a record whose very `id` is the one the key has is
///   [`Fresh`](Inserted::Fresh), in whatever state the record is by now, and changes nothing: an
///   insert whose outcome was lost is simply repeated. Another id is a duplicate or an upgrade.
/// - **Rank.** A key that is known with a lower rank is upgraded: id, payload, meta and rank are
///   replaced, attempts, expiries and age start again, and the record is due after the new
///   `due_in`, also when it was done or dead. While it is leased, that lease stays good, and the
///   record becomes due when the lease ends, however it ends (with
///   [`Disown`](Action::Disown) and [`Dead`](Action::Dead) too): failure and success of one task
///   never run at once, and success is last.
/// - **Duplicates change nothing** and revive nothing. `differs` compares an 8-byte digest of the bodies.
/// - **Full.** New records are refused with [`Inserted::Full`]; a duplicate in a full store is still
///   a duplicate. Settling, extending, finding and purging work when full.
/// - **Busy.** An upgrade whose row is held by somebody's open transaction is [`Inserted::Busy`] at once.
/// - **Queues** share nothing: equal keys in two queues are two records, and so are the keys `"b:c"`
///   of the endpoint `"a"` and `"c"` of `"a:b"`. Keys are bytes, never collated text.
/// - **Clock.** Only durations cross the border; each store adds its own clock to them.
/// - **Cancellation.** The future of a call may be dropped at any point: the store stays whole, and
///   the record is in it or not.
///
/// # Wrappers
///
/// `Arc<S>` and `Box<S>` are stores where `S` is; [`AnyInbox`] and [`AnyStore`] erase the type. A
/// wrapper of your own forwards every method, the provided ones too.
///
/// # Implementing
///
/// `stream::iter(records).map(|record| async …).buffered(n)` does not compile inside `insert` (the
/// borrow's lifetime is not general enough for a `Send` future), while a loop or `join_all` does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Inbox`: a front cannot put events into it",
    label = "give `.store(..)` a store",
    note = "`MemoryStore::new()` is one, and with their features `SqliteStore`, `PostgresStore` and `RedisStore`; without any store, `.accept(..)` hands events to a function",
    note = "what opens or connects one gives a `Result`: `.await?` comes first"
)]
pub trait Inbox: Send + Sync + 'static {
    /// Whether what was acknowledged survives the process.
    fn durability(&self) -> Durability;

    /// Puts records in, and answers for each, in order.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`] when it is worth trying again, unchanged;
    /// [`StoreErrorKind::Rejected`] when a record of the batch can never be stored. In both cases
    /// some of the records may be in.
    fn insert(
        &self,
        records: &[NewRecord],
    ) -> impl Future<Output = Result<Vec<Inserted>, StoreError>> + Send;

    /// How many inserts it gains by having under way at once: one by default, which is right wherever
    /// there is one log to write. More, where several connections commit side by side. Forward it in
    /// wrappers.
    ///
    /// Asked once, when an endpoint is built. Whatever comes in meanwhile waits, and becomes the next batch.
    fn commits_at_once(&self) -> usize {
        1
    }

    /// The hands of the clock that this store runs on, where somebody can turn it. Forward it in wrappers.
    fn manual_clock(&self) -> Option<&ManualClock> {
        None
    }
}

/// The tier that a worker needs.
///
/// # Contract
///
/// All of [`Inbox`], and:
///
/// - **lease** gives due records, by due time and then by sequence (not by age: an old failing
///   backlog must not starve new work), each to one caller, with a token that never recurs, also
///   after reopening or restoring. The attempt counts at the lease, durably. [`Leased::expiries`]
///   tells how many earlier leases ended by expiry; a record with any is a suspect, and is
///   returned only as the sole item of a lease. Records of [`QueueKind::Quarantine`] are never leased.
/// - **settle** answers per item: [`Settled::Applied`]; [`Settled::Stale`] when another token was
///   seen since (leased again, settled by somebody else, requeued); [`Settled::Busy`] when it could
///   not be decided now. A lease that expired and was not taken by anybody still settles. A
///   settlement repeated with the last token is `Applied`, and so is a [`Disown`](Action::Disown)
///   repeated while its key is free. After an upgrade, a settlement ends the lease, however late it
///   comes, and never the newer content. It waits for row locks in one order and never skips; [`Action::Extend`] skips locked rows instead, and answers `Busy`.
/// - **find** agrees with what was answered, and gives body, meta and the last error while they are kept.
/// - **purge** counts from settlement, works in bounded steps, and never takes anything pending.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Store`: a worker cannot lease events from it",
    label = "give `.store(..)` a store",
    note = "`MemoryStore::new()` is one, and with their features `SqliteStore`, `PostgresStore` and `RedisStore`; a front alone, `.build_front()`, needs only an `Inbox`"
)]
pub trait Store: Inbox {
    /// Leases at most `max` due records for `ttl`.
    ///
    /// # Errors
    ///
    /// When the store is unavailable. Nothing may have been leased for longer than `ttl` then.
    fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<Leased>, StoreError>> + Send;

    /// Ends or extends leases, and answers for each, in order.
    ///
    /// # Errors
    ///
    /// When the store is unavailable. Any of the settlements may have been applied; all can be repeated.
    fn settle(
        &self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<Vec<Settled>, StoreError>> + Send;

    /// What is known of a key.
    ///
    /// # Errors
    ///
    /// When the store is unavailable.
    fn find(
        &self,
        queue: &Queue,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Forgets what is older than the retention, in one bounded step and in every queue: retention
    /// belongs to the store, so whoever shares one over several workers or processes gives them the
    /// same. The worker calls it again while [`Purged::more`] says so.
    ///
    /// # Errors
    ///
    /// When the store is unavailable.
    fn purge(
        &self,
        retention: &Retention,
    ) -> impl Future<Output = Result<Purged, StoreError>> + Send;

    /// Resolves when another process may have inserted into the queue. For ever pending where a
    /// store cannot tell. Forward it in wrappers.
    fn changed(&self, queue: &Queue) -> impl Future<Output = ()> + Send {
        let _ = queue;
        std::future::pending()
    }
}
