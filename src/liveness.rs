//! Whether the worker of an endpoint is there: what the front's readiness rests on.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// What became of an endpoint's worker. Shared by the worker, who writes it, and the front, who reads it.
///
/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness(Arc<AtomicU8>);

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Built, and not running yet.
    Waiting,
    /// Running.
    Running,
    /// It ended as it was asked to.
    Stopped,
    /// It was dropped: what is received now is handled by nobody here.
    Dropped,
}

impl Liveness {
    /// Of a worker that was just built.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn get(&self) -> Life {
        match self.0.load(Ordering::Acquire) {
            0 => Life::Waiting,
            1 => Life::Running,
            2 => Life::Stopped,
            _ => Life::Dropped,
        }
    }

    /// Why events that are received now would not be handled, if so.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self.get() {
            Life::Running => None,
            Life::Waiting => Some("its worker is not running yet"),
            Life::Stopped => Some("its worker has stopped"),
            Life::Dropped => Some("its worker was dropped"),
        }
    }

    pub(crate) fn set(&self, life: Life) {
        let value = match life {
            Life::Waiting => 0,
            Life::Running => 1,
            Life::Stopped => 2,
            Life::Dropped => 3,
        };
        self.0.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_what_became_of_the_worker() {
        let worker = Liveness::new();
        let front = worker.clone();
        assert_eq!(front.get(), Life::Waiting);
        for life in [Life::Running, Life::Stopped, Life::Dropped, Life::Waiting] {
            worker.set(life);
            assert_eq!(front.get(), life);
        }
    }
}
