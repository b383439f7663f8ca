//! The stores, and what can be done to them.

use std::{fs, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, Row, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tokio::time::sleep;
use tower_callback::{
    BoxError, RedisStore, SqliteStore,
    store::{AnyStore, PostgresStore},
};

use super::{postgres::Postgres, redis::Redis};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    Redis,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Redis];

    pub(super) fn of(name: &str) -> Result<Self, BoxError> {
        let mut all = Self::ALL.into_iter();
        let kind = all.find(|kind| kind.name() == name);
        Ok(kind.ok_or_else(|| format!("`{name}` is none of sqlite, postgres and redis"))?)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// What is done to a store while it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends at once, and is started again a moment later.
    Restart,
    /// All connections are cut.
    Cut,
    /// Somebody else has the file for himself.
    Lock,
}

pub(super) enum Engine {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
    Redis(Redis),
}

impl Engine {
    pub(super) async fn start(kind: Kind) -> Result<Self, BoxError> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite(tempfile::tempdir()?),
            Kind::Postgres => {
                // What is forgotten is cleaned up within seconds, so that a growth shows within minutes.
                let settings = [
                    "autovacuum_naptime=1s",
                    "autovacuum_vacuum_scale_factor=0.05",
                    "autovacuum_vacuum_cost_delay=0",
                ];
                Self::Postgres(Box::new(Postgres::start(&settings).await?))
            }
            Kind::Redis => Self::Redis(Redis::start().await?),
        })
    }

    /// For a service that is to use it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Sqlite(directory) => directory.path().join("callbacks.db").display().to_string(),
            Self::Postgres(server) => server.url(),
            Self::Redis(server) => server.url(),
        }
    }

    /// The faults that it can have.
    pub(super) fn faults(&self) -> &'static [Fault] {
        match self {
            Self::Sqlite(_) => &[Fault::Lock],
            Self::Postgres(_) | Self::Redis(_) => &[Fault::Restart, Fault::Cut],
        }
    }

    pub(super) async fn strike(&mut self, fault: Fault) -> Result<(), BoxError> {
        const AWAY: Duration = Duration::from_millis(500);
        match (self, fault) {
            (Self::Sqlite(directory), _) => {
                let mut conn = file(directory).await?;
                conn.execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE")
                    .await?;
                sleep(AWAY).await;
                conn.execute("ROLLBACK").await?;
                conn.close().await?;
            }
            (Self::Postgres(server), Fault::Cut) => {
                let mut conn = server.url().parse::<PgConnectOptions>()?.connect().await?;
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                conn.execute(others).await?;
                conn.close().await?;
            }
            (Self::Postgres(server), _) => {
                server.crash();
                sleep(AWAY).await;
                server.run().await?;
            }
            (Self::Redis(server), Fault::Cut) => {
                server.command("CLIENT KILL TYPE normal SKIPME yes").await?;
            }
            (Self::Redis(server), _) => {
                server.crash();
                sleep(AWAY).await;
                server.run().await?;
            }
        }
        Ok(())
    }

    /// How many bytes it takes.
    pub(super) async fn size(&self) -> Result<u64, BoxError> {
        match self {
            Self::Sqlite(directory) => {
                let files = fs::read_dir(directory.path())?.flatten();
                let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
                Ok(sizes.sum())
            }
            Self::Postgres(server) => {
                let mut conn = server.url().parse::<PgConnectOptions>()?.connect().await?;
                let size = "SELECT pg_database_size(current_database())";
                let size: i64 = conn.fetch_one(size).await?.try_get(0)?;
                conn.close().await?;
                Ok(size.try_into()?)
            }
            Self::Redis(server) => server.size().await,
        }
    }
}

async fn file(directory: &TempDir) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(directory.path().join("callbacks.db"));
    options.connect().await
}

/// Opens the store at a place.
pub(super) async fn open(place: &str) -> Result<AnyStore, BoxError> {
    Ok(if place.starts_with("postgres:") {
        let patient = PostgresStore::options().with_call_timeout(Duration::from_secs(5));
        AnyStore::new(patient.open(place).await?)
    } else if place.starts_with("redis:") {
        AnyStore::new(RedisStore::connect(place).await?)
    } else {
        AnyStore::new(SqliteStore::open(place).await?)
    })
}
