//! Answers that may still change, and how often in a row they came.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{Clock, clock::Stopwatch};

/// Counted by the record's key, in this process: what another one counted, or this one before it was
/// restarted, is counted again. What somebody else has ended meanwhile is forgotten after a while.
pub(super) struct Doubts {
    counts: Mutex<Counts>,
    clock: Clock,
    origin: Stopwatch,
    kept: Duration,
}

#[derive(Default)]
struct Counts {
    /// How often, and when for the last time.
    of: HashMap<Bytes, (u32, Duration)>,
    swept: Duration,
}

impl Doubts {
    /// Forgets what was not doubted for that long.
    pub(super) fn new(clock: Clock, kept: Duration) -> Self {
        Self {
            counts: Mutex::default(),
            origin: clock.stopwatch(),
            clock,
            kept,
        }
    }

    /// Counts one more in a row.
    pub(super) fn add(&self, key: &Bytes) -> u32 {
        let now = self.clock.elapsed(&self.origin);
        let mut counts = self.counts();
        if now.saturating_sub(counts.swept) >= self.kept {
            counts.swept = now;
            (counts.of).retain(|_, (_, last)| now.saturating_sub(*last) < self.kept);
        }
        let (count, last) = counts.of.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *last = now;
        *count
    }

    /// Nothing is doubtful any more.
    pub(super) fn clear(&self, key: &Bytes) {
        self.counts().of.remove(key);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_doubts_any_more_is_forgotten_and_what_goes_on_is_counted() {
        let hands = Clock::manual();
        let doubts = Doubts::new(hands.clock(), Duration::from_secs(60));
        let lasting = Bytes::from_static(b"lasting");
        // However long nobody doubted anything before.
        hands.advance(Duration::from_secs(100));
        for n in 1..=1000 {
            // Ended by another process: nobody says so here.
            assert_eq!(doubts.add(&Bytes::from(format!("t:{n}"))), 1);
            assert_eq!(doubts.add(&lasting), n);
            hands.advance(Duration::from_secs(1));
        }
        let kept = doubts.counts().of.len();
        assert!(kept <= 122, "{kept}");
        doubts.clear(&lasting);
        assert_eq!(doubts.add(&lasting), 1);
    }
}
