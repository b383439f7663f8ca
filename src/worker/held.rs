//! The leases that a worker holds: from the lease until its settlement was applied.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::store::{Lease, LeaseToken, Leased, Settlement};

/// The most records, or leases, of one call of a store.
pub(super) const BATCH: usize = 1000;

/// Shared by the loop, which takes and settles leases, and the heartbeat, which extends them.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<LeaseToken, Entry>>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct Entry {
    lease: Lease,
    key: String,
    /// Dropped with the entry, which tells whoever watches that the lease has ended.
    lost: watch::Sender<bool>,
    /// Its settlement was sent, and may have been applied though no answer came.
    sent: bool,
}

impl Held {
    pub(super) fn add(&self, leased: &Leased) -> watch::Receiver<bool> {
        let (lost, watched) = watch::channel(false);
        let entry = Entry {
            lease: leased.lease.clone(),
            key: lossy(&leased.key),
            lost,
            sent: false,
        };
        let mut leases = self.lock();
        leases.insert(leased.lease.token, entry);
        self.count.send_replace(leases.len());
        watched
    }

    /// The lease has ended. Answers whose it was, if it was still held.
    pub(super) fn end(&self, token: LeaseToken) -> Option<String> {
        let mut leases = self.lock();
        let entry = leases.remove(&token)?;
        self.count.send_replace(leases.len());
        Some(entry.key)
    }

    /// Somebody else has the record. Answers whose lease it was, unless that is for the answer to its
    /// settlement to say: an extension that comes too late meets what the settlement has done, or
    /// what a transaction of the handler's has.
    pub(super) fn lose(&self, token: LeaseToken) -> Option<String> {
        let mut leases = self.lock();
        let entry = leases.get(&token)?;
        if entry.sent || entry.lease.is_completing() {
            return None;
        }
        let entry = leases.remove(&token)?;
        self.count.send_replace(leases.len());
        entry.lost.send_replace(true);
        Some(entry.key)
    }

    pub(super) fn holds(&self, token: LeaseToken) -> bool {
        self.lock().contains_key(&token)
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        let leases = self.lock();
        leases.values().map(|entry| entry.lease.clone()).collect()
    }

    /// Notes that these are sent, and leaves out those whose lease was lost meanwhile.
    pub(super) fn send(&self, mut settlements: Vec<Settlement>) -> Vec<Settlement> {
        let mut leases = self.lock();
        settlements.retain(|settlement| match leases.get_mut(&settlement.lease.token) {
            Some(entry) => {
                entry.sent = true;
                true
            }
            None => false,
        });
        settlements
    }

    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until fewer leases than this are held.
    pub(super) async fn fewer_than(&self, count: usize) {
        let mut watched = self.count.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = watched.wait_for(|held| *held < count).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseToken, Entry>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key for traces.
pub(super) fn lossy(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
