//! Which way a record goes: to the store, or to the spool.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What inserts and the forwarder of one spool tell each other.
#[derive(Debug, Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    /// Notified when there is something to forward.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Something may wait in the file.
    holds: bool,
    /// It was told that something does.
    told: bool,
    /// An insert has failed since the store last answered in time.
    down: bool,
    answered: u64,
    forwarding: bool,
    /// The forwarder cannot read the file, and so offers nothing.
    blind: bool,
    /// Inserts into the file that are under way.
    writing: usize,
    /// Inserts into the file that have ended, in whatever way.
    written: u64,
}

/// Which way a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the store.
    Direct,
    /// To the store, unless the spool has its key.
    Divided,
    /// To the spool.
    Spool,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that may panic runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn way(&self) -> Way {
        let inner = self.lock();
        let somebody_tries = inner.forwarding && !inner.blind;
        match (inner.holds, inner.down && somebody_tries) {
            // With nothing to forward, nobody but an insert finds out that the store is back.
            (false, _) => Way::Direct,
            (true, false) => Way::Divided,
            // Only where somebody tries the store meanwhile.
            (true, true) => Way::Spool,
        }
    }

    /// Whether the forwarder could read the file.
    pub(super) fn sees(&self, sees: bool) {
        self.lock().blind = !sees;
    }

    pub(super) fn holds(&self) -> bool {
        self.lock().holds
    }

    /// An insert has failed.
    pub(super) fn fail(&self) {
        self.lock().down = true;
    }

    /// The store has answered, and maybe in time for those who wait for it.
    pub(super) fn answer(&self, in_time: bool) {
        let mut inner = self.lock();
        inner.answered += 1;
        if in_time {
            inner.down = false;
        }
    }

    /// How often the store has answered.
    pub(super) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Something was found in the file.
    pub(super) fn found(&self) {
        self.lock().holds = true;
    }

    /// Whether that something waits is told for the first time since the spool was empty.
    pub(super) fn tell(&self) -> bool {
        !std::mem::replace(&mut self.lock().told, true)
    }

    /// Begins an insert into the file. From here on the spool is not empty.
    pub(super) fn write(&self) -> Writing<'_> {
        let mut inner = self.lock();
        inner.holds = true;
        inner.writing += 1;
        Writing(self)
    }

    /// To be asked before the file is looked at, and given to [`emptied`](Self::emptied).
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    /// The file was found empty. False when an insert may have come in between.
    pub(super) fn emptied(&self, written: u64) -> bool {
        let mut inner = self.lock();
        let empty = inner.writing == 0 && inner.written == written;
        if empty {
            inner.holds = false;
            inner.told = false;
        }
        empty
    }

    pub(super) fn forward(&self) -> Forwarding<'_> {
        self.lock().forwarding = true;
        Forwarding(self)
    }
}

/// An insert into the file is under way.
pub(super) struct Writing<'a>(&'a State);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.writing -= 1;
        inner.written += 1;
        drop(inner);
        self.0.wake.notify_one();
    }
}

/// A forwarder runs.
pub(super) struct Forwarding<'a>(&'a State);

impl Drop for Forwarding<'_> {
    fn drop(&mut self) {
        self.0.lock().forwarding = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_down_is_left_alone_only_while_somebody_else_tries_it() {
        let state = State::default();
        assert_eq!(state.way(), Way::Direct);
        state.fail();
        assert_eq!(state.way(), Way::Direct, "nothing to forward");
        drop(state.write());
        assert_eq!(state.way(), Way::Divided, "nobody forwards");
        let forwarding = state.forward();
        assert_eq!(state.way(), Way::Spool);
        state.sees(false);
        assert_eq!(
            state.way(),
            Way::Divided,
            "the forwarder has nothing to offer"
        );
        state.sees(true);
        state.answer(false);
        assert_eq!(state.way(), Way::Spool, "too slow for who waits");
        state.answer(true);
        assert_eq!(state.way(), Way::Divided);
        state.fail();
        drop(forwarding);
        assert_eq!(state.way(), Way::Divided);
    }

    #[test]
    fn the_spool_is_not_empty_while_an_insert_may_be_in_it() {
        let state = State::default();
        let before = state.written();
        let writing = state.write();
        assert!(!state.emptied(before), "one is under way");
        drop(writing);
        assert!(!state.emptied(before), "one has ended since");
        assert!(state.holds());
        assert!(state.emptied(state.written()));
        assert!(!state.holds());
    }
}
