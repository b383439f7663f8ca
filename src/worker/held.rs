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
    /// Dropped with the entry, which tells the delivery that its lease has ended.
    _held: watch::Sender<()>,
    /// Its settlement was sent, and may have been applied though no answer came.
    sent: bool,
}

impl Held {
    pub(super) fn add(&self, leased: &Leased) -> watch::Receiver<()> {
        let (held, watched) = watch::channel(());
        let entry = Entry {
            lease: leased.lease.clone(),
            key: lossy(&leased.key),
            _held: held,
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{Action, Queue, RecordId};

    fn leased() -> Leased {
        let queue = Queue::events("words");
        let lease = Lease::new(queue, RecordId::random(), LeaseToken::random());
        Leased::new(lease, "word".into(), 0, Bytes::new(), Bytes::new())
    }

    #[test]
    fn what_waits_to_be_settled_is_not_sent_once_its_lease_is_lost() {
        let held = Held::default();
        let [kept, lost] = [leased(), leased()];
        let watches = [held.add(&kept), held.add(&lost)];
        assert_eq!(held.lose(lost.lease.token).as_deref(), Some("word"));
        assert!(watches[0].has_changed().is_ok() && watches[1].has_changed().is_err());
        let done = |leased: &Leased| Settlement::new(leased.lease.clone(), Action::Done);
        let sent = held.send(vec![done(&lost), done(&kept)]);
        assert_eq!(sent, [done(&kept)]);
        assert_eq!(held.lose(kept.lease.token), None, "the answer will tell");
        assert_eq!(held.count(), 1);
    }
}
