//! What can be chosen about a spool.

use std::{path::Path, time::Duration};

use super::{Forwarder, Spooled};
use crate::store::{Durability, Inbox, OpenError, OpenErrorKind, SqliteOptions, SqliteStore};

/// Options of a [`Spooled`] store.
///
/// ```no_run
/// # async fn open(postgres: tower_callback::SqliteStore) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_callback::store::SpoolOptions;
///
/// let (store, forwarder) = SpoolOptions::default()
///     .with_patience(Duration::from_secs(1))
///     .with_capacity(200_000)
///     .open(postgres, "spool.db")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    patience: Duration,
    file: SqliteOptions,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            file: SqliteStore::options()
                .with_capacity(1_000_000)
                .with_capacity_bytes(1024 * 1024 * 1024),
        }
    }
}

impl SpoolOptions {
    /// How long an insert waits for the store before the record goes to the spool: 2 s by default, a
    /// fifth of the default [ack deadline](crate::Callbacks::ack_deadline). Whoever waits for a
    /// batch that hangs waits for his own batch too, and both need what the disk takes: keep it
    /// below a third of the deadline. Where it is no shorter than the deadline, nothing that hangs is
    /// ever spooled.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many records may wait before more are [refused](crate::store::Inserted::Full): a million
    /// by default, a day's outage at ten callbacks a second.
    #[must_use]
    pub fn with_capacity(mut self, records: u64) -> Self {
        self.file = self.file.with_capacity(records);
        self
    }

    /// How many bytes the file may hold before records are refused: 1 GiB by default, which is what a
    /// million small events take, and what most containers can spare.
    #[must_use]
    pub fn with_capacity_bytes(mut self, bytes: u64) -> Self {
        self.file = self.file.with_capacity_bytes(bytes);
        self
    }

    /// How many bytes must be free on the file system for anything to be spooled: 64 MiB by default,
    /// as for any [`SqliteStore`](SqliteOptions::with_reserve).
    #[must_use]
    pub fn with_reserve(mut self, bytes: u64) -> Self {
        self.file = self.file.with_reserve(bytes);
        self
    }

    /// How long to wait for somebody else's lock on the file: 5 s by default. Nobody else should
    /// have one.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.file = self.file.with_busy_timeout(timeout);
        self
    }

    /// Puts a spool in front of a store: opens the file, or creates it. Its directory must exist. The
    /// [`Forwarder`] is to be run.
    ///
    /// # Errors
    ///
    /// [`NotDurable`](OpenErrorKind::NotDurable) when the store behind the spool is volatile:
    /// what it took in is gone when it is back, and no spool helps. Otherwise as for any file, see
    /// [`OpenErrorKind`].
    pub async fn open<S: Inbox>(
        self,
        store: S,
        path: impl AsRef<Path>,
    ) -> Result<(Spooled<S>, Forwarder), OpenError> {
        if store.durability() != Durability::Durable {
            return Err(OpenError::new(
                OpenErrorKind::NotDurable,
                "a spool in front of a volatile store keeps nothing: what was forwarded is lost with it",
            ));
        }
        let path = path.as_ref();
        let file = self.file.counting_quarantine().open(path).await?;
        let (waiting, _) = file.count_waiting().await.map_err(|error| {
            OpenError::new(OpenErrorKind::Io, "the spool cannot be read")
                .with_source(error)
                .at(path)
        })?;
        Ok(Spooled::new_pair(store, file, waiting, self.patience))
    }
}
