//! The shipped stores keep the contract, and the suite that says so can tell a broken store.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "stores/broken.rs"]
mod broken;

use std::sync::Arc;

use tower_callback::{
    clock::Clock,
    store::{AnyStore, MemoryStore},
    testing::{Recording, conformance::Fixture},
};

/// On a clock that is turned.
struct Memory;

impl Fixture for Memory {
    type Store = MemoryStore;

    async fn open(&self) -> MemoryStore {
        MemoryStore::with_clock(&Clock::manual())
    }
    async fn open_bounded(&self, records: usize) -> Option<MemoryStore> {
        Some(self.open().await.with_capacity(records))
    }
}

/// On real time.
struct Unturned;

impl Fixture for Unturned {
    type Store = MemoryStore;

    async fn open(&self) -> MemoryStore {
        MemoryStore::new()
    }
    async fn open_bounded(&self, records: usize) -> Option<MemoryStore> {
        Some(MemoryStore::new().with_capacity(records))
    }
}

struct Shared;

impl Fixture for Shared {
    type Store = Arc<MemoryStore>;

    async fn open(&self) -> Arc<MemoryStore> {
        Arc::new(Memory.open().await)
    }
    async fn open_bounded(&self, records: usize) -> Option<Arc<MemoryStore>> {
        Memory.open_bounded(records).await.map(Arc::new)
    }
}

struct Erased;

impl Fixture for Erased {
    type Store = AnyStore;

    async fn open(&self) -> AnyStore {
        AnyStore::new(Memory.open().await)
    }
    async fn open_bounded(&self, records: usize) -> Option<AnyStore> {
        Memory.open_bounded(records).await.map(AnyStore::new)
    }
}

struct Recorded;

impl Fixture for Recorded {
    type Store = Recording<MemoryStore>;

    async fn open(&self) -> Recording<MemoryStore> {
        Recording::new(Memory.open().await)
    }
    async fn open_bounded(&self, records: usize) -> Option<Recording<MemoryStore>> {
        Memory.open_bounded(records).await.map(Recording::new)
    }
}

mod memory {
    tower_callback::store_conformance!(super::Memory);
}

mod memory_on_real_time {
    tower_callback::store_conformance!(super::Unturned);
}

mod memory_behind_an_arc {
    tower_callback::store_conformance!(super::Shared);
}

mod memory_behind_any_store {
    tower_callback::store_conformance!(super::Erased);
}

#[cfg(feature = "sqlite")]
#[path = "stores/sqlite.rs"]
mod sqlite;

mod memory_that_is_recorded {
    tower_callback::store_conformance!(super::Recorded);
}
