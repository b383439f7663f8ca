//! Where stores are: each time a new one.

use std::path::PathBuf;

use tempfile::TempDir;
use tower_callback::{BoxError, PostgresStore, RedisStore, SqliteStore};

use crate::databases::{self, postgres::Postgres, redis::Redis};

pub(super) struct Places {
    pub(super) postgres: Option<Postgres>,
    pub(super) redis: Option<Redis>,
}

/// A file that is gone when this is.
pub(super) struct File(TempDir);

impl File {
    pub(super) fn new() -> Result<Self, BoxError> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("callbacks")
    }
}

impl Places {
    pub(super) fn start() -> Self {
        Self {
            postgres: databases::postgres(),
            redis: databases::redis(),
        }
    }

    /// The URL of an empty database.
    pub(super) async fn database(&self) -> Result<String, BoxError> {
        let postgres = self.postgres.as_ref().ok_or("there is no PostgreSQL")?;
        let name = postgres.database().await;
        Ok(postgres.url(&name))
    }

    pub(super) async fn sqlite_store(&self) -> Result<(SqliteStore, File), BoxError> {
        let file = File::new()?;
        Ok((SqliteStore::open(file.path()).await?, file))
    }

    pub(super) async fn postgres_store(&self) -> Result<PostgresStore, BoxError> {
        Ok(PostgresStore::open(&self.database().await?).await?)
    }

    pub(super) async fn redis_store(&self) -> Result<RedisStore, BoxError> {
        let redis = self.redis.as_ref().ok_or("there is no Redis")?;
        let options = RedisStore::options().with_name(redis.name());
        Ok(options.connect(redis.url()).await?)
    }
}
