//! Events that only polls brought, one after the other.

use std::sync::{Mutex, PoisonError};

/// How many events in a row only polls may bring before that is a warning. A callback gets lost now
/// and then; five in a row are no chance, and few enough to be seen on the first day.
const SUSPICIOUS: u32 = 5;

#[derive(Debug)]
pub(super) struct Streak(Mutex<State>);

#[derive(Debug)]
struct State {
    length: u32,
    /// Twice as many each time, so that an endpoint without callbacks is not all that the log tells of.
    warn_at: u32,
}

impl Default for Streak {
    fn default() -> Self {
        Self(Mutex::new(State::START))
    }
}

impl State {
    const START: Self = Self {
        length: 0,
        warn_at: SUSPICIOUS,
    };
}

impl Streak {
    /// A callback came.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::START;
    }

    /// A poll brought what no callback had.
    pub(super) fn grow(&self, endpoint: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.length = state.length.saturating_add(1);
        let length = state.length;
        if length < state.warn_at {
            return;
        }
        state.warn_at = state.warn_at.saturating_mul(2);
        drop(state);
        tracing::warn!(
            endpoint,
            events = length,
            "events come by polling alone: no callback reaches this endpoint. Check that its URL can be \
             reached from outside, that nothing in front of it refuses strangers, and that the \
             proof's secret is the one in the URL",
        );
    }
}
