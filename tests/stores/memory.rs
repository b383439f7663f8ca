//! The memory store, bare and behind every wrapper.

use std::sync::Arc;

use libtest_mimic::Trial;
use tower_callback::{
    clock::Clock,
    store::{AnyStore, MemoryStore},
    testing::{
        Recording,
        conformance::{Fixture, Need},
    },
};

use crate::suite;

/// Nobody outside of its process can reach it.
const LACKS: &[Need] = &[
    Need::Durability,
    Need::Replicas,
    Need::Processes,
    Need::WrongClocks,
    Need::Connection,
];

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite::inspected("memory", LACKS, || Ok(Memory)),
        suite::inspected("memory on real time", LACKS, || Ok(Unturned)),
        suite::inspected("memory behind an `Arc`", LACKS, || Ok(Shared)),
        suite::of("memory behind `AnyStore`", LACKS, || Ok(Erased)),
        suite::inspected("memory that is recorded", LACKS, || Ok(Recorded)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

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
