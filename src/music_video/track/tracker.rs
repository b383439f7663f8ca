//! Tasks that were submitted elsewhere.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{ledger::Ledger, records::task_key};
use crate::{
    Clock,
    event::EventKey,
    store::{AnyStore, Inserted, Store, StoreError},
};

/// Tracks tasks that were submitted elsewhere: their event comes, by callback or by poll.
///
/// For those who submit by themselves and have no [`SignedUrl`](crate::SignedUrl); who submits by a
/// [`Submitter`](super::Submitter) needs none. An endpoint of the same name and store, built with
/// [`poll_with`](crate::Callbacks::poll_with), does the asking.
#[derive(Clone)]
pub struct Tracker(Arc<Ledger>);

impl Tracker {
    /// Tracks tasks of an endpoint, in its store.
    pub fn new(endpoint: impl Into<Arc<str>>, store: impl Store) -> Self {
        let ledger = Ledger::new(endpoint.into(), AnyStore::new(store), Clock::system());
        Self(Arc::new(ledger))
    }

    /// Tracks a task from now on. When this is answered, that is as durable as the store is.
    ///
    /// A task that is tracked already, or was, stays as it is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::store::StoreErrorKind::Rejected) for an id that cannot be a task's: it has
    /// 1 to 255 bytes and no control characters. [`Unavailable`](crate::store::StoreErrorKind::Unavailable)
    /// when the store failed or is full; track it again then.
    pub async fn track(&self, task_id: impl AsRef<str>) -> Result<(), StoreError> {
        track(&self.0, task_id.as_ref()).await
    }
}

pub(super) async fn track(ledger: &Ledger, task_id: &str) -> Result<(), StoreError> {
    EventKey::new(task_id).map_err(StoreError::rejected)?;
    let record = ledger.tracking(task_key(task_id), 0, Bytes::new(), None, None);
    noted(ledger.insert(record).await).map(drop)
}

/// Whether it is news.
pub(super) fn noted(inserted: Result<Inserted, StoreError>) -> Result<bool, StoreError> {
    match inserted? {
        Inserted::Fresh | Inserted::Upgraded => Ok(true),
        Inserted::Duplicate { .. } => Ok(false),
        Inserted::Full => Err(StoreError::unavailable("the store is full")),
        Inserted::Busy => Err(StoreError::unavailable("somebody holds the record")),
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("endpoint", &self.0.endpoint())
            .finish_non_exhaustive()
    }
}
