//! What can be chosen about a store.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    Guard, PostgresStore, Shared,
    calls::{Calls, Way},
    db_error::open_error,
    lease::Cursors,
    migrate, probe,
    room::Room,
    settle::HeldUp,
    statements::{self, Statements},
    wake::{self, Bell, Ear},
};
use crate::store::{OpenError, OpenErrorKind};

/// After how long without use a connection of our own pool is asked whether it is still good.
const IDLE: Duration = Duration::from_secs(1);

/// Options of a [`PostgresStore`], from [`PostgresStore::options`].
#[derive(Clone)]
pub struct PostgresOptions {
    schema: String,
    capacity: Option<u64>,
    quarantine: u64,
    patience: Duration,
    limit: Duration,
    connections: u32,
    prepared: Option<bool>,
    notify: bool,
    listener: Option<PgConnectOptions>,
    standby: bool,
    unsafe_fsync: bool,
    later: &'static [&'static str],
    only_present: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "tower_callback".to_owned(),
            capacity: None,
            quarantine: 10_000,
            patience: Duration::from_secs(5),
            limit: Duration::from_secs(15),
            connections: 10,
            prepared: None,
            notify: true,
            listener: None,
            standby: false,
            unsafe_fsync: false,
            later: &[],
            only_present: false,
        }
    }
}

impl PostgresOptions {
    /// The schema that the tables are in: `tower_callback` by default. It is made if it is not there.
    /// Stores in different schemas know nothing of each other. The name is made of `a-z`, `0-9`
    /// and `_`.
    #[must_use]
    pub fn with_schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// How many records may be pending or leased before new ones are refused: only the disk limits
    /// them by default. Inserts of different processes that come at the same moment may exceed it
    /// a little, since they do not wait for each other.
    #[must_use]
    pub fn with_capacity(mut self, records: u64) -> Self {
        self.capacity = Some(records);
        self
    }

    /// How many records each quarantine keeps before it drops its oldest: 10,000 by default.
    #[must_use]
    pub fn with_quarantine(mut self, records: u64) -> Self {
        self.quarantine = records;
        self
    }

    /// How long a settlement waits for somebody else's lock on a record before it is
    /// [`Busy`](crate::store::Settled::Busy), while others are settled; and how long an open store waits for a
    /// connection of [its own pool](Self::open): 5 s by default, half of the default deadline for an answer. On
    /// [your pool](Self::with_pool), its own `acquire_timeout` counts for the latter.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience.clamp(Duration::from_millis(1), Duration::from_secs(24 * 60 * 60));
        self
    }

    /// After how long a call is given up: 15 s by default, longer than any caller waits, for servers that
    /// cannot be reached and do not say so. Its connection is not used again, and closed when the server
    /// answers after all: until then it counts against the pool as soon as there are more of these
    /// than the pool has connections. So a process never has more than twice as many.
    #[must_use]
    pub fn with_call_timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The most connections of [its own pool](Self::open): 10 by default. Four or so carry all the
    /// inserts of a process, which come in batches.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(2);
        self
    }

    /// Whether statements are prepared once for each connection, which saves three of four round
    /// trips. By default the store finds out: they are where a connection leads straight to the
    /// server, and not behind a pooler such as PgBouncer in transaction mode, where a statement
    /// may not be where it was prepared. A PgBouncer from 1.21 on with `max_prepared_statements`
    /// can do with them, if you say `true` here.
    #[must_use]
    pub fn with_prepared_statements(mut self, prepared: bool) -> Self {
        self.prepared = Some(prepared);
        self
    }

    /// Where to `LISTEN`: a server, past any pooler. One more connection is held there while a worker
    /// waits. By default, it goes where the pool's connections go, if those lead straight to the
    /// server; otherwise workers poll.
    #[must_use]
    pub fn with_listener(mut self, server: PgConnectOptions) -> Self {
        self.listener = Some(server);
        self.notify = true;
        self
    }

    /// Neither `NOTIFY` nor `LISTEN`: workers of other processes poll.
    #[must_use]
    pub fn without_notifications(mut self) -> Self {
        self.notify = false;
        self.listener = None;
        self
    }

    /// Acknowledges only what a synchronous standby has on disk as well: without that, a failover to a
    /// standby loses what was acknowledged last, and brings back what was done.
    ///
    /// The server must have `synchronous_standby_names`, and the role `pg_read_all_stats`. Where one is
    /// missing, the store does not open, and inserts are unavailable if that is so later. While no standby
    /// is connected the server does not commit, and inserts are unavailable too.
    ///
    /// A commit that waits for its standby also ends when the wait is cancelled, or when the names
    /// are emptied: the server calls it a success. So after each commit the store looks whether a
    /// synchronous standby has it, one more round trip, and answers only then. What it
    /// cannot see: how many standbys you want to have it, where that is more than one; and whether the
    /// standby that has it is the one that your failover chooses.
    #[must_use]
    pub fn require_sync_standby(mut self) -> Self {
        self.standby = true;
        self
    }

    /// Opens also on a server that runs with `fsync=off`, as those of test suites do. A crash of its
    /// machine may lose everything that was ever acknowledged.
    #[must_use]
    pub fn dangerously_without_fsync(mut self) -> Self {
        self.unsafe_fsync = true;
        self
    }

    /// Opens as a later release would that has these steps more: how one upgrades is tried before there
    /// is any.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_later_steps(mut self, steps: &'static [&'static str]) -> Self {
        self.later = steps;
        self
    }

    /// Opens what is there as it is: it makes nothing and upgrades nothing.
    #[must_use]
    pub(in crate::store) fn only_present(mut self) -> Self {
        self.only_present = true;
        self
    }

    /// Connects to a server, with a pool of its own.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`].
    pub async fn open(self, url: &str) -> Result<PostgresStore, OpenError> {
        let server = PgConnectOptions::from_str(url).map_err(open_error)?;
        let pool = PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.patience)
            // Asking before each call whether the connection is good would double the round trips.
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for > IDLE {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            // A pooler does not know this setting, and nothing here is a float.
            .connect_lazy_with(server.extra_float_digits(None));
        self.with_pool(pool).await
    }

    /// Lives in your database, on your pool: see [`PostgresStore::with_pool`].
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`].
    pub async fn with_pool(self, pool: PgPool) -> Result<PostgresStore, OpenError> {
        statements::check_schema(&self.schema)?;
        let opened = tokio::time::timeout(Duration::from_secs(60), self.prepare(&pool)).await;
        let Ok(way) = opened else {
            return Err(OpenError::new(
                OpenErrorKind::Io,
                "the PostgreSQL server does not answer",
            ));
        };
        let way = way?;
        let channel = wake::channel(&self.schema);
        let server = match (self.notify, self.listener) {
            (false, _) => None,
            (true, Some(server)) => Some(server),
            (true, None) => way.direct.then(|| (*pool.connect_options()).clone()),
        };
        Ok(PostgresStore(Arc::new(Shared {
            calls: Calls::new(pool, way.way, self.limit),
            statements: Statements::new(&self.schema),
            guard: Guard {
                standby: self.standby,
                unsafe_fsync: self.unsafe_fsync,
                patience: i32::try_from(self.patience.as_millis()).unwrap_or(i32::MAX),
            },
            quarantine: i64::try_from(self.quarantine).unwrap_or(i64::MAX),
            room: Room::new(self.capacity),
            cursors: Cursors::default(),
            held_up: HeldUp::default(),
            bell: Bell::new(channel.clone(), self.notify),
            ear: Ear::new(channel, server),
            dropped: std::sync::Mutex::default(),
            schema: self.schema,
        })))
    }

    /// Makes the tables, and looks at what is between them and us.
    async fn prepare(&self, pool: &PgPool) -> Result<Found, OpenError> {
        let mut conn = pool.acquire().await.map_err(open_error)?;
        // It is closed, since a migration that failed left a transaction open, and since it goes
        // another way than all others.
        conn.close_on_drop();
        if self.only_present {
            migrate::require_present(&mut conn, &self.schema).await?;
        }
        migrate::ensure(&mut conn, &self.schema, self.later).await?;
        probe::check(&mut conn, &self.schema, self.standby, self.unsafe_fsync).await?;
        let plain = probe::reads_committed(&mut conn).await?;
        drop(conn);
        let direct = probe::leads_straight_to_the_server(&pool.connect_options()).await;
        let way = if self.prepared.unwrap_or(direct) && plain {
            Way::Prepared
        } else {
            Way::Transaction
        };
        Ok(Found { way, direct })
    }
}

struct Found {
    way: Way,
    direct: bool,
}

/// Without the listener's options, which may hold a password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("capacity", &self.capacity)
            .field("quarantine", &self.quarantine)
            .field("patience", &self.patience)
            .field("call_timeout", &self.limit)
            .field("connections", &self.connections)
            .field("prepared_statements", &self.prepared)
            .field("notifications", &self.notify)
            .field("sync_standby", &self.standby)
            .field("without_fsync", &self.unsafe_fsync)
            .finish_non_exhaustive()
    }
}
