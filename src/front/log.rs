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

/// One [`LogLimit`] for each label, so that what is frequent does not hide what is rare.
#[derive(Debug, Default)]
pub(super) struct LogLimits {
    known: Mutex<Vec<(Option<Box<str>>, LogLimit)>>,
    /// For the labels that come when there is no room for more.
    others: LogLimit,
}

/// Far more secrets than anybody retires at a time.
const MAX_LABELS: usize = 64;

impl LogLimits {
    /// How many with this label were held back since the last one, if this one may go.
    pub(super) fn pass(&self, label: Option<&str>) -> Option<u64> {
        self.pass_at(label, Instant::now())
    }

    fn pass_at(&self, label: Option<&str>, now: Instant) -> Option<u64> {
        let mut known = self
            .known
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, limit)) = known.iter().find(|(known, _)| known.as_deref() == label) {
            return limit.pass_at(now);
        }
        if known.len() == MAX_LABELS {
            return self.others.pass_at(now);
        }
        let limit = LogLimit::default();
        let passed = limit.pass_at(now);
        known.push((label.map(Box::from), limit));
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_with_one_label_does_not_hide_another_label() {
        let limits = LogLimits::default();
        let start = Instant::now();
        for label in [Some("frequent"), Some(""), None] {
            assert_eq!(limits.pass_at(label, start), Some(0));
            for _ in 0..1000 {
                assert_eq!(limits.pass_at(label, start), None);
            }
        }
        assert_eq!(limits.pass_at(Some("rare"), start), Some(0));
        assert_eq!(
            limits.pass_at(Some("frequent"), start + INTERVAL),
            Some(1000)
        );
        assert_eq!(limits.pass_at(Some("rare"), start + INTERVAL), Some(0));
    }

    #[test]
    fn labels_beyond_the_room_share_one_limit() {
        let limits = LogLimits::default();
        let start = Instant::now();
        let passed = |n: usize| limits.pass_at(Some(&n.to_string()), start);
        for n in 0..MAX_LABELS + 1 {
            assert_eq!(passed(n), Some(0));
        }
        for n in MAX_LABELS + 1..1000 {
            assert_eq!(passed(n), None);
        }
        assert_eq!(limits.known.lock().unwrap().len(), MAX_LABELS);
    }

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
