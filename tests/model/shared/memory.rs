//! The store in memory, whose clock is turned by hand.

use std::time::Duration;

use tower_callback::{Clock, MemoryStore, clock::ManualClock};

use super::{Limits, Subject};

pub(crate) struct Memory {
    limits: Limits,
    store: MemoryStore,
    hands: ManualClock,
}

impl Memory {
    pub(crate) fn new(limits: Limits) -> Self {
        let hands = Clock::manual();
        let store = MemoryStore::with_clock(&hands)
            .with_capacity(limits.capacity)
            .with_quarantine(limits.quarantine);
        Self {
            limits,
            store,
            hands,
        }
    }
}

impl Subject for Memory {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn advance(&mut self, by: Duration) {
        self.hands.advance(by);
    }

    async fn clear(&mut self) {
        *self = Self::new(self.limits);
    }
}
