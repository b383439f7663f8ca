//! Stores behind a pointer.

use std::{sync::Arc, time::Duration};

use super::{
    Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, RecordId, Retention,
    Settled, Settlement, Store, StoreError,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};
use crate::clock::ManualClock;

/// The methods of one tier, each handed on to `$target`. One list, so that no wrapper forgets one.
macro_rules! forward {
    (Inbox, $self:ident => $target:expr) => {
        fn durability(&$self) -> Durability {
            $target.durability()
        }
        async fn insert(
            &$self,
            records: &[NewRecord],
        ) -> Result<Vec<Inserted>, StoreError> {
            $target.insert(records).await
        }
        fn commits_at_once(&$self) -> usize {
            $target.commits_at_once()
        }
        fn manual_clock(&$self) -> Option<&ManualClock> {
            $target.manual_clock()
        }
    };
    (Store, $self:ident => $target:expr) => {
        async fn lease(
            &$self,
            queue: &Queue,
            max: usize,
            ttl: Duration,
        ) -> Result<Vec<Leased>, StoreError> {
            $target.lease(queue, max, ttl).await
        }
        async fn settle(
            &$self,
            settlements: &[Settlement],
        ) -> Result<Vec<Settled>, StoreError> {
            $target.settle(settlements).await
        }
        async fn find(
            &$self,
            queue: &Queue,
            key: &[u8],
        ) -> Result<Option<Found>, StoreError> {
            $target.find(queue, key).await
        }
        async fn purge(
            &$self,
            retention: &Retention,
        ) -> Result<Purged, StoreError> {
            $target.purge(retention).await
        }
        async fn changed(&$self, queue: &Queue) {
            $target.changed(queue).await
        }
    };
    (Inspect, $self:ident => $target:expr) => {
        async fn counts(
            &$self,
            queue: &Queue,
        ) -> Result<Counts, StoreError> {
            $target.counts(queue).await
        }
        async fn queues(&$self) -> Result<Vec<Queue>, StoreError> {
            $target.queues().await
        }
        async fn list(
            &$self,
            queue: &Queue,
            listing: &Listing,
        ) -> Result<Page, StoreError> {
            $target.list(queue, listing).await
        }
        async fn look(
            &$self,
            queue: &Queue,
            id: RecordId,
        ) -> Result<Option<Record>, StoreError> {
            $target.look(queue, id).await
        }
        async fn requeue(
            &$self,
            queue: &Queue,
            ids: &[RecordId],
        ) -> Result<Vec<Requeued>, StoreError> {
            $target.requeue(queue, ids).await
        }
        async fn delete(
            &$self,
            queue: &Queue,
            ids: &[RecordId],
        ) -> Result<Vec<Deleted>, StoreError> {
            $target.delete(queue, ids).await
        }
    };
}

pub(crate) use forward;

impl<S: Inbox> Inbox for Arc<S> {
    forward!(Inbox, self => (**self));
}
impl<S: Store> Store for Arc<S> {
    forward!(Store, self => (**self));
}
impl<S: Inspect> Inspect for Arc<S> {
    forward!(Inspect, self => (**self));
}
impl<S: Inbox> Inbox for Box<S> {
    forward!(Inbox, self => (**self));
}
impl<S: Store> Store for Box<S> {
    forward!(Store, self => (**self));
}
impl<S: Inspect> Inspect for Box<S> {
    forward!(Inspect, self => (**self));
}
