//! Whether a server sends fast enough.

use std::time::Duration;

/// How long a server may be slow.
const WINDOW: Duration = Duration::from_secs(30);

/// Counts only the time in which the server was waited for: a slow disk is not its fault.
pub(super) struct Pace {
    min_rate: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(min_rate: u64) -> Self {
        Self {
            min_rate,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    pub(super) fn keeps_up(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < WINDOW {
            return true;
        }
        let enough = u128::from(self.min_rate) * self.waited.as_millis() / 1000;
        let keeps_up = u128::from(self.bytes) >= enough;
        *self = Self::new(self.min_rate);
        keeps_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_window() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(1000);
        for _ in 0..300 {
            assert!(pace.keeps_up(second, 1000));
        }
        assert!(pace.keeps_up(second * 29, 0));
        assert!(!pace.keeps_up(second, 29_999));
        // One burst does not excuse what comes after it.
        assert!(pace.keeps_up(second * 30, 1_000_000_000));
        assert!(!pace.keeps_up(second * 30, 29_999));
        assert!(Pace::new(0).keeps_up(second * 3000, 0));
    }
}
