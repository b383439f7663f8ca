//! What can be chosen about a store.

use std::{path::Path, time::Duration};

use sqlx::SqlitePool;

use super::{OpenError, SqliteStore, connections::Connections, schema};

/// Options of a [`SqliteStore`], from [`SqliteStore::options`].
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(super) busy_timeout: Duration,
    pub(super) reserve: u64,
    pub(super) capacity: u64,
    pub(super) capacity_bytes: u64,
    pub(super) quarantine: u64,
    pub(super) counts_quarantine: bool,
    pub(super) readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            reserve: 64 * 1024 * 1024,
            capacity: u64::MAX,
            capacity_bytes: u64::MAX,
            quarantine: 10_000,
            counts_quarantine: false,
            readers: 2,
        }
    }
}

impl SqliteOptions {
    /// How long to wait for somebody else's write lock: 5 s by default, half of the default deadline
    /// for an answer. On a pool, the pool's own setting counts.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        // What the driver can hold.
        self.busy_timeout = timeout.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// How many bytes must be free on the file system for anything to be inserted: 64 MiB by
    /// default. Below that, inserts are unavailable, while settling and purging, which need some
    /// room in the write-ahead log themselves, go on.
    #[must_use]
    pub fn with_reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// How many records may be pending or leased before new ones are refused: only the disk
    /// limits them by default.
    #[must_use]
    pub fn with_capacity(mut self, records: u64) -> Self {
        self.capacity = records;
        self
    }

    /// How many bytes the database may hold before new records are refused: only the disk limits
    /// them by default.
    ///
    /// It counts all that is in the file, whatever its state: what is remembered, and in
    /// [a database of yours](SqliteStore::with_pool) your own tables too. A batch may go a few
    /// megabytes beyond it, and upgrades are still taken.
    #[must_use]
    pub fn with_capacity_bytes(mut self, bytes: u64) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// How many records each quarantine keeps before it drops its oldest: 10,000 by default.
    #[must_use]
    pub fn with_quarantine(mut self, records: u64) -> Self {
        self.quarantine = records;
        self
    }

    /// Quarantine drops nothing, and takes from the capacity like everything else.
    #[must_use]
    pub(in crate::store) fn counting_quarantine(mut self) -> Self {
        self.quarantine = u64::MAX;
        self.counts_quarantine = true;
        self
    }

    /// How many connections read at once, beside the one that writes: 2 by default.
    #[must_use]
    pub fn with_readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Opens a file, or creates it. Its directory must exist.
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`](super::OpenErrorKind).
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, OpenError> {
        let path = path.as_ref();
        let connections = Connections::open(path, self.busy_timeout, self.readers)
            .await
            .map_err(|error| error.at(path))?;
        Ok(SqliteStore::new(connections, self))
    }

    /// Opens what is there as it is: it makes nothing and upgrades nothing.
    pub(in crate::store) async fn open_present(
        self,
        path: &Path,
    ) -> Result<SqliteStore, OpenError> {
        let present = schema::require_present(path).await;
        present.map_err(|error| error.at(path))?;
        self.open(path).await
    }

    /// Lives in the user's database, on the user's pool: see [`SqliteStore::with_pool`].
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`](super::OpenErrorKind).
    pub async fn with_pool(self, pool: SqlitePool) -> Result<SqliteStore, OpenError> {
        let connections = Connections::on_pool(pool, self.busy_timeout, self.readers).await?;
        Ok(SqliteStore::new(connections, self))
    }
}
