//! Tracing that a flood cannot turn into a full disk.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Lets one event through each second, and counts those it held back.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl LogLimit {
    /// How many were held back since the last one, if this one may go.
    pub(super) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        // A panic in here is not possible, so a poisoned lock holds a whole state.
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let waited = state.last.map(|last| now.saturating_duration_since(last));
        if waited.is_some_and(|waited| waited < INTERVAL) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_event_a_second_that_says_how_many_it_stands_for() {
        let limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.pass_at(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(limit.pass_at(start + INTERVAL / 2), None);
        }
        assert_eq!(limit.pass_at(start + INTERVAL), Some(1000));
        assert_eq!(limit.pass_at(start + INTERVAL * 2), Some(0));
    }
}
