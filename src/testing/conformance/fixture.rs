//! What a store's test gives to the suite.

use std::time::Duration;

use super::Outcome;
use crate::store::{Inbox, Store};

/// Opens the stores that the suite tries.
///
/// The two first methods are enough for a store in memory. The others are ways to show more of a store
/// that promises more; a clause that lacks what it [needs](Need) says that it does not apply.
pub trait Fixture: Send + Sync + 'static {
    /// The store.
    type Store: Store;

    /// A new and empty store, with room for at least 100,000 records.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;

    /// A new and empty store that is full with this many pending records; `None` for a store that
    /// has no such limit.
    fn open_bounded(&self, records: usize) -> impl Future<Output = Option<Self::Store>> + Send;

    /// Closes a store, as the end of its process would, and opens it again. A durable store can.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Option<Self::Store>> + Send {
        drop(store);
        async { None }
    }

    /// Opens once more what a store that stays open is on: with connections of its own, as another
    /// replica does.
    fn open_again(&self, store: &Self::Store) -> impl Future<Output = Option<Self::Store>> + Send {
        let _ = store;
        async { None }
    }

    /// Lets time pass on the store's clock: turns its [hands](Inbox::manual_clock), or waits.
    fn pass(&self, store: &Self::Store, time: Duration) -> impl Future<Output = ()> + Send {
        async move {
            match store.manual_clock() {
                Some(clock) => clock.advance(time),
                // A little more, for clocks that count in milliseconds.
                None => tokio::time::sleep(time + Duration::from_millis(10)).await,
            }
        }
    }
}

/// What a clause needs of a [`Fixture`] beyond a new store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// [`Fixture::open_bounded`]: a limit of records.
    Limit,
    /// [`Fixture::reopen`], and a store that declares itself durable.
    Durability,
    /// [`Fixture::open_again`]: several stores on one place.
    Replicas,
}

impl Need {
    /// Why a clause does not apply where this is lacking.
    pub fn lacking(self) -> &'static str {
        match self {
            Self::Limit => "the store has no limit of records",
            Self::Durability => "the store declares itself volatile",
            Self::Replicas => "nothing else can open what the store is on",
        }
    }

    pub(super) fn does_not_apply(self) -> Outcome {
        Outcome::DoesNotApply {
            because: self.lacking(),
        }
    }
}
