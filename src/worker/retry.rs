//! When a failed attempt is tried again.

use std::time::Duration;

use crate::BuildError;

/// When a failed attempt is tried again, and when no more.
///
/// The `n`-th delay is a random part of `first_delay × 2ⁿ⁻¹`, and of no more than `max_delay` (*full
/// jitter*: events that failed together do not come back together). When `total` has passed since the
/// event arrived, a failed attempt is the last one.
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | first delay | 1 s | most failures are a hiccup of some neighbour |
/// | longest delay | 10 min | short enough to be back soon after an outage ends |
/// | total | 48 h | an outage that began on Friday evening is seen on Sunday at the latest |
///
/// ```
/// use std::time::Duration;
/// use tower_callback::worker::RetryPolicy;
///
/// let policy = RetryPolicy::default()
///     .with_first_delay(Duration::from_millis(200))
///     .with_total(Duration::from_secs(60 * 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    first_delay: Duration,
    max_delay: Duration,
    total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(10 * 60),
            total: Duration::from_secs(48 * 60 * 60),
        }
    }
}

impl RetryPolicy {
    /// Bounds the first delay.
    #[must_use]
    pub fn with_first_delay(mut self, first_delay: Duration) -> Self {
        self.first_delay = first_delay;
        self
    }

    /// Bounds every delay.
    #[must_use]
    pub fn with_max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    /// Ends the retries this long after the event arrived. With zero, the first failure is the last.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        if self.first_delay.is_zero() {
            return Err(BuildError::new(
                "retry",
                "without a first delay a failing event would be tried again at once, for hours; \
                 give `with_first_delay` at least a millisecond",
            ));
        }
        if self.max_delay < self.first_delay {
            return Err(BuildError::new(
                "retry",
                "the longest delay is shorter than the first; raise `with_max_delay` or lower `with_first_delay`",
            ));
        }
        Ok(())
    }

    /// How long until the next attempt of an event of this age, or `None` when there is none.
    ///
    /// `random` is the jitter: 0 gives no delay, the largest value nearly all of it. `asked` replaces
    /// the delay. The last attempt is made when the total is over, not before.
    pub(crate) fn next(
        &self,
        attempt: u32,
        age: Duration,
        asked: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        let left = self.total.checked_sub(age).filter(|left| !left.is_zero())?;
        let delay = asked.unwrap_or_else(|| part_of(self.bound(attempt), random));
        Some(delay.min(left))
    }

    fn bound(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1);
        2_u32
            .checked_pow(doublings)
            .and_then(|factor| self.first_delay.checked_mul(factor))
            .unwrap_or(Duration::MAX)
            .min(self.max_delay)
    }
}

/// A random part of a duration: `random / 2⁶⁴` of it.
pub(crate) fn part_of(whole: Duration, random: u64) -> Duration {
    let nanos = whole.as_nanos();
    // Seconds are 64 bits and nanoseconds 30 more, so the product is cut to fit 128 bits.
    let part = (nanos >> 32) * u128::from(random >> 32)
        + (((nanos & 0xffff_ffff) * u128::from(random >> 32)) >> 32);
    let seconds = u64::try_from(part / 1_000_000_000).unwrap_or(u64::MAX);
    let subsec = u32::try_from(part % 1_000_000_000).unwrap_or_default();
    Duration::new(seconds, subsec)
}

/// Jitter. A system that has no randomness to give gets none, which is late rather than wrong.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::edges::duration;

    proptest! {
        #[test]
        fn a_delay_is_within_every_bound_for_any_attempt_age_and_policy(
            first in duration(),
            max in duration(),
            total in duration(),
            age in duration(),
            attempt in any::<u32>(),
            asked in proptest::option::of(duration()),
            random in any::<u64>(),
        ) {
            let policy = RetryPolicy::default()
                .with_first_delay(first)
                .with_max_delay(max)
                .with_total(total);
            match policy.next(attempt, age, asked, random) {
                None => prop_assert!(age >= total),
                Some(delay) => {
                    prop_assert!(age < total);
                    prop_assert!(delay <= total - age);
                    match asked {
                        Some(asked) => prop_assert!(delay == asked.min(total - age)),
                        None => prop_assert!(delay <= max),
                    }
                }
            }
        }

        #[test]
        fn the_envelope_of_delays_never_shrinks_and_at_most_doubles(
            first in duration(),
            max in duration(),
            attempt in 1..u32::MAX,
            random in any::<u64>(),
        ) {
            let policy = RetryPolicy::default()
                .with_first_delay(first)
                .with_max_delay(max)
                .with_total(Duration::MAX);
            let (now, next) = (policy.bound(attempt), policy.bound(attempt + 1));
            prop_assert!(now <= next && next <= now.saturating_mul(2));
            // The jitter takes its part of the envelope, so that it is as steady for each random number.
            let delay = |attempt| policy.next(attempt, Duration::ZERO, None, random).unwrap();
            prop_assert!(delay(attempt) <= delay(attempt + 1));
            prop_assert!(delay(attempt) <= now);
        }

        #[test]
        fn an_attempt_that_is_asked_for_at_any_time_is_within_the_total(
            total in duration(),
            age in duration(),
            asked in duration(),
        ) {
            let policy = RetryPolicy::default().with_total(total);
            match policy.next(1, age, Some(asked), 0) {
                Some(delay) => prop_assert!(delay <= asked && age + delay <= total),
                None => prop_assert!(age >= total),
            }
        }

        #[test]
        fn a_part_is_never_more_than_the_whole_and_grows_with_the_random_number(
            whole in duration(),
            a in any::<u64>(),
            b in any::<u64>(),
        ) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(part_of(whole, low) <= part_of(whole, high));
            prop_assert!(part_of(whole, high) <= whole);
        }
    }

    #[test]
    fn delays_double_from_a_second_to_ten_minutes() {
        let policy = RetryPolicy::default();
        let nearly = |attempt| {
            let delay = policy.next(attempt, Duration::ZERO, None, u64::MAX);
            delay.unwrap().as_secs_f64().round()
        };
        let delays: Vec<_> = (1..=12).map(nearly).collect();
        assert_eq!(
            delays,
            [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 600., 600.]
        );
        assert_eq!(nearly(u32::MAX), 600.);
        assert_eq!(nearly(0), 1.);
    }

    #[test]
    fn the_last_attempt_is_made_when_the_total_is_over() {
        let policy = RetryPolicy::default();
        let hour = Duration::from_secs(3600);
        let minute = Duration::from_secs(60);
        assert_eq!(
            policy.next(1, hour * 48 - minute, Some(hour), 0),
            Some(minute)
        );
        assert_eq!(policy.next(1, hour * 48, Some(hour), 0), None);
    }

    #[test]
    fn jitter_is_never_the_same_for_long() {
        let first = random();
        assert!((0..4).any(|_| random() != first));
    }

    #[test]
    fn a_policy_that_would_spin_is_refused() {
        let spins = RetryPolicy::default().with_first_delay(Duration::ZERO);
        assert_eq!(spins.validate().unwrap_err().setting(), "retry");
        let crossed = RetryPolicy::default().with_max_delay(Duration::from_millis(1));
        assert_eq!(crossed.validate().unwrap_err().setting(), "retry");
        let same = RetryPolicy::default().first_delay;
        let constant = RetryPolicy::default().with_max_delay(same);
        for good in [RetryPolicy::default(), constant] {
            assert_eq!(good.validate(), Ok(()));
        }
    }
}
