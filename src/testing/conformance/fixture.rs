//! What a store's test gives to the suite.

use std::time::Duration;

use super::{Outcome, Process};
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

    /// Starts another process that opens what a store is on, with a wall clock that is off by so many
    /// days: see [`Process`]. `None` where no process can, or none with such a clock.
    fn process(
        &self,
        store: &Self::Store,
        days_off: i64,
    ) -> impl Future<Output = Option<Process>> + Send {
        let _ = (store, days_off);
        async { None }
    }

    /// Cuts the connections of a store, all that are under way, when so much has gone over them from
    /// now on; `None` lets everything through again. Whether that is possible: a store without
    /// connections has none to lose.
    fn cut(&self, store: &Self::Store, when: Option<Cut>) -> impl Future<Output = bool> + Send {
        let _ = (store, when);
        async { false }
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

/// When connections are cut.
///
/// Exhaustive: there are two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// When this many bytes have gone to the server.
    Request(usize),
    /// When this many bytes have come from the server. With 0 it does what it was asked for, and
    /// nobody learns of it.
    Answer(usize),
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
    /// [`Fixture::process`]: another process on the same place.
    Processes,
    /// The same with a wall clock that is wrong, on a store that has a clock of its own.
    WrongClocks,
    /// [`Fixture::cut`]: a connection to lose.
    Connection,
    /// [`Completes`](super::Completes), where an open transaction holds rows, and not the whole store.
    RowLocks,
}

impl Need {
    /// Why a clause does not apply where this is lacking.
    pub fn lacking(self) -> &'static str {
        match self {
            Self::Limit => "the store has no limit of records",
            Self::Durability => "the store declares itself volatile",
            Self::Replicas => "nothing else can open what the store is on",
            Self::Processes => "no other process can open what the store is on",
            Self::WrongClocks => "the store runs on the clock of the machine that it is on",
            Self::Connection => "the store has no connection to lose",
            Self::RowLocks => "an open transaction keeps all others from writing",
        }
    }

    pub(super) fn does_not_apply(self) -> Outcome {
        Outcome::DoesNotApply {
            because: self.lacking(),
        }
    }
}
