//! The store's clock: milliseconds since the Unix epoch that never run backwards.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The wall clock, or what it would be had nobody turned it back.
///
/// A wall clock set back would keep leases and retries waiting for as long as it was set back. So
/// time goes on from the latest known instant with the monotonic clock, and follows the wall clock
/// only forwards. The latest instant that was written is read with every transaction, so that
/// processes on one file, and the same process after a restart, go on from there.
///
/// A clock set forward by mistake cannot be told from a machine that slept: leases expire at once,
/// what was to be kept until then is purged, and the store stays ahead of the wall clock.
#[derive(Debug)]
pub(super) struct StoreClock(Mutex<Anchor>);

#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Instant,
    millis: i64,
}

impl StoreClock {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Anchor {
            at: Instant::now(),
            millis: wall(),
        }))
    }

    pub(super) fn now(&self) -> i64 {
        self.at_least(wall())
    }

    /// The time now, knowing what somebody wrote.
    pub(super) fn at_least(&self, written: i64) -> i64 {
        let mut anchor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = anchor.millis.saturating_add(millis(anchor.at.elapsed()));
        if written > here {
            *anchor = Anchor {
                at: Instant::now(),
                millis: written,
            };
        }
        here.max(written)
    }
}

/// The wall clock.
pub(super) fn wall() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    millis(since_epoch.unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration of the caller's in milliseconds, rounded up: nothing is due too early.
pub(super) fn ceil_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_behind_what_was_written() {
        let clock = StoreClock::new();
        let ahead = wall() + 3_600_000;
        assert!(clock.at_least(ahead) >= ahead);
        assert!(clock.now() >= ahead, "as if the wall clock was set back");
    }

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(ceil_millis(Duration::ZERO), 0);
        assert_eq!(ceil_millis(Duration::from_nanos(1)), 1);
        assert_eq!(ceil_millis(Duration::from_millis(2)), 2);
        assert_eq!(ceil_millis(Duration::MAX), i64::MAX);
    }
}
