//! A store that notes what it is asked, and fails when it is told to.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, Semaphore};

use crate::{
    clock::ManualClock,
    store::{
        Action, Durability, Found, Inbox, Inserted, Leased, MemoryStore, NewRecord, Purged, Queue,
        Retention, Settled, Settlement, Store, StoreError,
    },
};

pub(super) struct Probe {
    pub(super) inner: MemoryStore,
    pub(super) on_lease: Fault,
    pub(super) on_settle: Fault,
    pub(super) on_extend: Fault,
    pub(super) on_purge: Fault,
    pub(super) on_find: Fault,
    pub(super) on_changed: Fault,
    /// What `changed` waits for.
    pub(super) changed: Notify,
    /// What a slow lease waits for.
    lease_may: Semaphore,
    /// What a slow find waits for.
    find_may: Semaphore,
    /// Says for how many steps each call waits.
    dawdle: Mutex<Option<fastrand::Rng>>,
    /// Steps that a purge says are left.
    pub(super) to_purge: AtomicUsize,
    saw: Mutex<Saw>,
}

/// What the store was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Saw {
    /// The `max` and what came, for each lease.
    pub(super) leases: Vec<(usize, usize)>,
    /// Calls, without those that extend.
    pub(super) settled: Vec<Vec<Settlement>>,
    pub(super) extended: Vec<Vec<Settlement>>,
    pub(super) purges: Vec<Retention>,
    pub(super) finds: usize,
}

/// What a method does instead of its work.
#[derive(Default)]
pub(super) struct Fault {
    mode: Mutex<Option<Mode>>,
    calls: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mode {
    Unavailable,
    Rejected,
    Panics,
    Hangs,
    /// Does the work, and then fails.
    Ambiguous,
    /// Answers `Busy` for each.
    Busy,
    /// Does the work, and forgets the last answer.
    Short,
    /// Rejects a settlement that is done with this error text.
    RejectsOne(&'static str),
}

impl Fault {
    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = Some(mode);
    }

    pub(super) fn mend(&self) {
        *self.mode.lock().unwrap() = None;
    }

    fn mode(&self) -> Option<Mode> {
        *self.mode.lock().unwrap()
    }

    /// How often the method was called.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn strike(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.mode() {
            None | Some(Mode::Ambiguous | Mode::Busy | Mode::Short | Mode::RejectsOne(_)) => Ok(()),
            Some(Mode::Unavailable) => Err(StoreError::unavailable("gone fishing")),
            Some(Mode::Rejected) => Err(StoreError::rejected("never ever")),
            Some(Mode::Panics) => panic!("store"),
            Some(Mode::Hangs) => std::future::pending().await,
        }
    }
}

impl Probe {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            on_lease: Fault::default(),
            on_settle: Fault::default(),
            on_extend: Fault::default(),
            on_purge: Fault::default(),
            on_find: Fault::default(),
            on_changed: Fault::default(),
            changed: Notify::new(),
            lease_may: Semaphore::new(Semaphore::MAX_PERMITS),
            find_may: Semaphore::new(Semaphore::MAX_PERMITS),
            dawdle: Mutex::default(),
            to_purge: AtomicUsize::new(0),
            saw: Mutex::default(),
        }
    }

    /// From now on, leases wait.
    pub(super) fn slow_lease(&self) {
        self.lease_may.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn let_lease(&self) {
        self.lease_may.add_permits(1);
    }

    /// From now on, finds wait.
    pub(super) fn slow_find(&self) {
        self.find_may.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn let_find(&self, finds: usize) {
        self.find_may.add_permits(finds);
    }

    /// From now on, every call takes a random number of steps.
    pub(super) fn dawdle(&self, rng: fastrand::Rng) {
        *self.dawdle.lock().unwrap() = Some(rng);
    }

    async fn steps(&self) {
        let steps = self.dawdle.lock().unwrap().as_mut().map(|rng| rng.u8(0..6));
        for _ in 0..steps.unwrap_or_default() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn saw(&self) -> Saw {
        self.saw.lock().unwrap().clone()
    }

    pub(super) fn settled(&self) -> Vec<Vec<Settlement>> {
        self.saw().settled
    }
}

impl Inbox for Probe {
    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.inner.insert(records).await
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        self.inner.manual_clock()
    }
}

impl Store for Probe {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        self.saw.lock().unwrap().leases.push((max, 0));
        self.on_lease.strike().await?;
        let _may = self.lease_may.acquire().await;
        self.steps().await;
        let leased = self.inner.lease(queue, max, ttl).await?;
        self.steps().await;
        if let Some(last) = self.saw.lock().unwrap().leases.last_mut() {
            last.1 = leased.len();
        }
        Ok(leased)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let extends = matches!(settlements[0].action, Action::Extend { .. });
        let fault = if extends {
            &self.on_extend
        } else {
            &self.on_settle
        };
        fault.strike().await?;
        match fault.mode() {
            Some(Mode::Busy) => return Ok(vec![Settled::Busy; settlements.len()]),
            Some(Mode::RejectsOne(text))
                if settlements.iter().any(|settlement| {
                    matches!(&settlement.action, Action::RetryIn { error, .. } if error == text)
                }) =>
            {
                return Err(StoreError::rejected("one of them"));
            }
            _ => {}
        }
        {
            let mut saw = self.saw.lock().unwrap();
            let calls = if extends {
                &mut saw.extended
            } else {
                &mut saw.settled
            };
            calls.push(settlements.to_vec());
        }
        self.steps().await;
        let mut answers = self.inner.settle(settlements).await?;
        self.steps().await;
        if fault.mode() == Some(Mode::Short) {
            answers.pop();
        }
        if fault.mode() == Some(Mode::Ambiguous) {
            return Err(StoreError::unavailable("lost the answer"));
        }
        Ok(answers)
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.saw.lock().unwrap().finds += 1;
        self.on_find.strike().await?;
        let _may = self.find_may.acquire().await;
        self.inner.find(queue, key).await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.saw.lock().unwrap().purges.push(*retention);
        self.on_purge.strike().await?;
        let left = self.to_purge.load(Ordering::Relaxed);
        if left > 0 {
            self.to_purge.store(left - 1, Ordering::Relaxed);
            return Ok(Purged::new(1000, true));
        }
        self.inner.purge(retention).await
    }

    async fn changed(&self, _queue: &Queue) {
        if self.on_changed.mode() == Some(Mode::Panics) {
            panic!("changed");
        }
        self.changed.notified().await;
    }
}
