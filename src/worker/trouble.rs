//! What goes wrong again and again: told now and then, tried again later and later.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::retry::{part_of, random};
use crate::{
    Clock,
    error::chain,
    panic::catch_future,
    store::{StoreError, StoreErrorKind},
};

/// Why a call of somebody's store or service came to nothing.
#[derive(Debug)]
pub(super) struct Failed {
    text: String,
    /// Not worth trying again.
    pub(super) rejected: bool,
}

impl Failed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            rejected: false,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Calls a store. Its panic is an error, and so is an answer that does not come within `limit`.
pub(super) async fn call<T>(
    clock: &Clock,
    limit: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Failed> {
    // Told in there, because the text of an error is somebody's code too.
    let told = async {
        answer.await.map_err(|error| Failed {
            text: chain(&error),
            rejected: error.kind() == StoreErrorKind::Rejected,
        })
    };
    match clock.timeout(limit, catch_future(told)).await {
        Some(Ok(answer)) => answer,
        Some(Err(panicked)) => Err(Failed::new(format!("the store {panicked}"))),
        None => Err(Failed::new(format!(
            "the store did not answer within {limit:?}"
        ))),
    }
}

/// One series of failures of the same kind.
#[derive(Debug)]
pub(crate) struct Trouble {
    longest: Duration,
    failures: u32,
    told: Option<Instant>,
    untold: u64,
}

impl Trouble {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);
    /// Of real time: it is the disk with the logs that must not fill.
    const TELL_EVERY: Duration = Duration::from_secs(30);

    /// Pauses are never longer than `longest`, nor than ten seconds.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest: longest.min(Self::LONGEST_PAUSE),
            failures: 0,
            told: None,
            untold: 0,
        }
    }

    pub(crate) fn is_over(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure: longer each time, with jitter.
    pub(crate) fn pause(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let pause = Self::FIRST_PAUSE.saturating_mul(factor).min(self.longest);
        pause / 2 + part_of(pause / 2, random())
    }

    /// Whether to tell of this failure, and of how many more that were not told.
    pub(crate) fn tell(&mut self) -> Option<u64> {
        if self
            .told
            .is_some_and(|told| told.elapsed() < Self::TELL_EVERY)
        {
            self.untold += 1;
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_number_of_failures_makes_a_pause_too_long(
            longest in crate::testing::edges::duration(),
            failures in proptest::prelude::any::<u32>(),
        ) {
            let mut trouble = Trouble::new(longest);
            trouble.failures = failures;
            assert!(trouble.pause() <= longest.min(Trouble::LONGEST_PAUSE));
        }
    }

    #[test]
    fn pauses_grow_to_their_bound_and_are_never_nothing() {
        let longest = Duration::from_secs(3);
        let mut trouble = Trouble::new(longest);
        for n in 0..100 {
            let pause = trouble.pause();
            let bound = Trouble::FIRST_PAUSE
                .saturating_mul(1 << n.min(6))
                .min(longest);
            assert!(bound / 2 <= pause && pause <= bound, "{n}: {pause:?}");
        }
        trouble.is_over();
        assert!(trouble.pause() <= Trouble::FIRST_PAUSE);
    }

    #[test]
    fn a_flood_of_failures_is_told_once() {
        let mut trouble = Trouble::new(Duration::MAX);
        assert_eq!(trouble.tell(), Some(0));
        assert!((0..1000).all(|_| trouble.tell().is_none()));
        trouble.told = None;
        assert_eq!(trouble.tell(), Some(1000));
    }
}
