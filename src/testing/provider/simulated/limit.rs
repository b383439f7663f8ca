//! How often the provider lets itself be called.

use std::{collections::VecDeque, time::Duration};

/// So many calls in any stretch of time of this length.
pub(super) struct Limit {
    calls: usize,
    per: Duration,
    /// When the latest calls were let through.
    passed: VecDeque<Duration>,
}

impl Limit {
    pub(super) fn new(calls: usize, per: Duration) -> Self {
        Self {
            calls,
            per,
            passed: VecDeque::new(),
        }
    }

    /// Whether a call at this time passes. One that does not is not counted against the next.
    ///
    /// Calls that arrive together may come here in another order than they read the time.
    pub(super) fn pass(&mut self, now: Duration) -> bool {
        let is_over = |at: &Duration| now.saturating_sub(*at) >= self.per;
        while self.passed.front().is_some_and(is_over) {
            self.passed.pop_front();
        }
        let passes = self.passed.len() < self.calls;
        if passes {
            self.passed.push_back(now);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stretch_of_time_sees_more_calls_than_allowed_and_refused_ones_cost_nothing() {
        let mut limit = Limit::new(2, Duration::from_secs(10));
        let mut pass = |second| limit.pass(Duration::from_secs(second));
        assert!(pass(0) && pass(9));
        assert!(!pass(9));
        assert!(pass(10), "the first one is 10 s ago");
        assert!(!pass(18));
        assert!(pass(19) && pass(20));
    }

    #[test]
    fn calls_that_overtake_each_other_are_counted_alike() {
        let mut limit = Limit::new(2, Duration::from_secs(10));
        let mut pass = |second| limit.pass(Duration::from_secs(second));
        assert!(pass(5) && pass(4));
        assert!(!pass(3) && !pass(14));
        assert!(pass(15));
    }
}
