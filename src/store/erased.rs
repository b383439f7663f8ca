//! Stores whose type is hidden.

use std::{any::Any, fmt, pin::Pin, sync::Arc, time::Duration};

use super::{
    Durability, Found, Inbox, Inserted, Leased, MemoryStore, NewRecord, Purged, Queue, RecordId,
    Retention, Settled, Settlement, Store, StoreError,
    forward::forward,
    inspect::{Counts, Deleted, Inspect, Listing, Page, Record, Requeued},
};
use crate::clock::ManualClock;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// An [`Inbox`] of any type. Clones are the same inbox.
#[derive(Clone)]
pub struct AnyInbox(Arc<dyn DynInbox>);

/// A [`Store`] of any type. Clones are the same store.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

/// A store of any type that can be [looked into](Inspect). Clones are the same store.
#[derive(Clone)]
pub struct AnyInspect(Arc<dyn DynInspect>);

impl AnyInbox {
    /// Hides the type.
    pub fn new(inbox: impl Inbox) -> Self {
        Self(Arc::new(inbox))
    }

    /// Inserts a record here and now, if that waits for nothing: no future has to be kept.
    pub(crate) fn insert_now(&self, record: &NewRecord) -> Option<Result<Inserted, StoreError>> {
        self.0.insert_now(record)
    }
}

impl AnyStore {
    /// Hides the type.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl AnyInspect {
    /// Hides the type.
    pub fn new(store: impl Inspect) -> Self {
        Self(Arc::new(store))
    }
}

/// The object-safe twin of [`Inbox`].
trait DynInbox: Send + Sync + 'static {
    fn durability(&self) -> Durability;
    fn insert<'a>(&'a self, records: &'a [NewRecord]) -> Answer<'a, Vec<Inserted>>;
    fn insert_now(&self, record: &NewRecord) -> Option<Result<Inserted, StoreError>>;
    fn commits_at_once(&self) -> usize;
    fn manual_clock(&self) -> Option<&ManualClock>;
}

/// The object-safe twin of [`Store`].
trait DynStore: DynInbox {
    fn lease<'a>(&'a self, queue: &'a Queue, max: usize, ttl: Duration) -> Answer<'a, Vec<Leased>>;
    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> Answer<'a, Vec<Settled>>;
    fn find<'a>(&'a self, queue: &'a Queue, key: &'a [u8]) -> Answer<'a, Option<Found>>;
    fn purge<'a>(&'a self, retention: &'a Retention) -> Answer<'a, Purged>;
    fn changed<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, ()>;
}

/// The object-safe twin of [`Inspect`].
trait DynInspect: DynStore {
    fn counts<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Counts>;
    fn queues(&self) -> Answer<'_, Vec<Queue>>;
    fn list<'a>(&'a self, queue: &'a Queue, listing: &'a Listing) -> Answer<'a, Page>;
    fn look<'a>(&'a self, queue: &'a Queue, id: RecordId) -> Answer<'a, Option<Record>>;
    fn requeue<'a>(&'a self, queue: &'a Queue, ids: &'a [RecordId]) -> Answer<'a, Vec<Requeued>>;
    fn delete<'a>(&'a self, queue: &'a Queue, ids: &'a [RecordId]) -> Answer<'a, Vec<Deleted>>;
}

impl<S: Inbox> DynInbox for S {
    fn durability(&self) -> Durability {
        Inbox::durability(self)
    }
    fn insert<'a>(&'a self, records: &'a [NewRecord]) -> Answer<'a, Vec<Inserted>> {
        Box::pin(Inbox::insert(self, records))
    }
    fn insert_now(&self, record: &NewRecord) -> Option<Result<Inserted, StoreError>> {
        let memory = (self as &dyn Any).downcast_ref::<MemoryStore>()?;
        Some(memory.insert_one(record))
    }
    fn commits_at_once(&self) -> usize {
        Inbox::commits_at_once(self)
    }
    fn manual_clock(&self) -> Option<&ManualClock> {
        Inbox::manual_clock(self)
    }
}

impl<S: Store> DynStore for S {
    fn lease<'a>(&'a self, queue: &'a Queue, max: usize, ttl: Duration) -> Answer<'a, Vec<Leased>> {
        Box::pin(Store::lease(self, queue, max, ttl))
    }
    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> Answer<'a, Vec<Settled>> {
        Box::pin(Store::settle(self, settlements))
    }
    fn find<'a>(&'a self, queue: &'a Queue, key: &'a [u8]) -> Answer<'a, Option<Found>> {
        Box::pin(Store::find(self, queue, key))
    }
    fn purge<'a>(&'a self, retention: &'a Retention) -> Answer<'a, Purged> {
        Box::pin(Store::purge(self, retention))
    }
    fn changed<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, ()> {
        Box::pin(Store::changed(self, queue))
    }
}

impl<S: Inspect> DynInspect for S {
    fn counts<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Counts> {
        Box::pin(Inspect::counts(self, queue))
    }
    fn queues(&self) -> Answer<'_, Vec<Queue>> {
        Box::pin(Inspect::queues(self))
    }
    fn list<'a>(&'a self, queue: &'a Queue, listing: &'a Listing) -> Answer<'a, Page> {
        Box::pin(Inspect::list(self, queue, listing))
    }
    fn look<'a>(&'a self, queue: &'a Queue, id: RecordId) -> Answer<'a, Option<Record>> {
        Box::pin(Inspect::look(self, queue, id))
    }
    fn requeue<'a>(&'a self, queue: &'a Queue, ids: &'a [RecordId]) -> Answer<'a, Vec<Requeued>> {
        Box::pin(Inspect::requeue(self, queue, ids))
    }
    fn delete<'a>(&'a self, queue: &'a Queue, ids: &'a [RecordId]) -> Answer<'a, Vec<Deleted>> {
        Box::pin(Inspect::delete(self, queue, ids))
    }
}

impl Inbox for AnyInbox {
    forward!(Inbox, self => self.0);
}
impl Inbox for AnyStore {
    forward!(Inbox, self => self.0);
}
impl Store for AnyStore {
    forward!(Store, self => self.0);
}
impl Inbox for AnyInspect {
    forward!(Inbox, self => self.0);
}
impl Store for AnyInspect {
    forward!(Store, self => self.0);
}
impl Inspect for AnyInspect {
    forward!(Inspect, self => self.0);
}

impl fmt::Debug for AnyInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyInbox")
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStore")
    }
}

impl fmt::Debug for AnyInspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyInspect")
    }
}
