//! When a request was signed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{error::BuildError, verify::RefusalKind};

/// How far the time at which a request was signed may lie from its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub(crate) past: Duration,
    pub(crate) future: Duration,
}

impl Tolerance {
    /// What Stripe and Standard Webhooks recommend: clocks differ by less, and retries are signed afresh.
    pub(crate) const DEFAULT: Self = Self {
        past: Duration::from_secs(5 * 60),
        future: Duration::from_secs(5 * 60),
    };

    pub(crate) fn both_ways(tolerance: Duration) -> Self {
        Self {
            past: tolerance,
            future: tolerance,
        }
    }

    /// Whether a request that was signed then may arrive now.
    pub(crate) fn admit(self, signed: SystemTime, arrived: SystemTime) -> Result<(), RefusalKind> {
        match arrived.duration_since(signed) {
            Ok(age) if age > self.past => Err(RefusalKind::Expired),
            Err(ahead) if ahead.duration() > self.future => Err(RefusalKind::Early),
            _ => Ok(()),
        }
    }

    /// How long after its first arrival a request is still admitted: it may have been signed with a
    /// clock that is ahead.
    pub(crate) fn horizon(self) -> Duration {
        self.past.saturating_add(self.future)
    }

    pub(crate) fn check(self, setting: &'static str) -> Result<(), BuildError> {
        // Signers give whole seconds.
        if self.past < Duration::from_secs(1) {
            return Err(BuildError::new(
                setting,
                "is under a second, so no callback could be received: leave it out for the default",
            ));
        }
        Ok(())
    }
}

/// The time that a signer wrote: whole seconds since the Unix epoch, digits only.
pub(crate) fn unix_seconds(text: &[u8]) -> Option<SystemTime> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = std::str::from_utf8(text).ok()?.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::edges::{duration, time};

    proptest! {
        #[test]
        fn whatever_the_clocks_say_what_is_admitted_lies_within_the_tolerance(
            signed in time(),
            arrived in time(),
            past in duration(),
            future in duration(),
        ) {
            let tolerance = Tolerance { past, future };
            let age = arrived.duration_since(signed).unwrap_or_default();
            let ahead = signed.duration_since(arrived).unwrap_or_default();
            let expected = match (age > past, ahead > future) {
                (true, _) => Err(RefusalKind::Expired),
                (_, true) => Err(RefusalKind::Early),
                _ => Ok(()),
            };
            prop_assert_eq!(tolerance.admit(signed, arrived), expected);
            // Nothing is admitted any more once the horizon has passed since it was.
            let horizon = tolerance.horizon();
            if let (Ok(()), Some(late)) = (expected, arrived.checked_add(horizon)) {
                let late = late.checked_add(Duration::from_nanos(1)).unwrap_or(late);
                let is_later = late.duration_since(arrived).is_ok_and(|by| by > horizon);
                prop_assert!(!is_later || tolerance.admit(signed, late).is_err());
            }
        }

        #[test]
        fn seconds_of_any_length_are_read_or_refused(text in "[0-9]{0,24}") {
            if let Some(time) = unix_seconds(text.as_bytes()) {
                let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
                prop_assert_eq!(Ok(seconds), text.parse());
            }
        }
    }

    #[test]
    fn a_time_is_digits_and_nothing_else() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(unix_seconds(b"1735661400"), at(1_735_661_400));
        assert_eq!(unix_seconds(b"0"), at(0));
        assert_eq!(unix_seconds(b"0001735661400"), at(1_735_661_400));
        for text in [
            &b""[..],
            b"+1735661400",
            b"-1735661400",
            b" 1735661400",
            b"1735661400 ",
            b"1735661400.0",
            b"1.7e9",
            b"0x10",
            b"2024-12-31T16:10:00Z",
            b"18446744073709551616",
            b"\xff",
            "\u{0661}".as_bytes(),
        ] {
            assert_eq!(unix_seconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_time_that_no_clock_can_tell_is_refused_without_a_panic() {
        let _ = unix_seconds(b"18446744073709551615").map(|signed| {
            Tolerance::DEFAULT
                .admit(signed, UNIX_EPOCH)
                .expect_err("it is far ahead")
        });
    }

    #[test]
    fn the_tolerance_holds_to_its_last_moment_and_not_beyond() {
        let tolerance = Tolerance {
            past: Duration::from_secs(10),
            future: Duration::from_secs(5),
        };
        let signed = UNIX_EPOCH + Duration::from_secs(1000);
        let nanosecond = Duration::from_nanos(1);
        let admit = |arrived| tolerance.admit(signed, arrived);
        assert_eq!(admit(signed), Ok(()));
        assert_eq!(admit(signed + tolerance.past), Ok(()));
        assert_eq!(
            admit(signed + tolerance.past + nanosecond),
            Err(RefusalKind::Expired)
        );
        assert_eq!(admit(signed - tolerance.future), Ok(()));
        assert_eq!(
            admit(signed - tolerance.future - nanosecond),
            Err(RefusalKind::Early)
        );
    }
}
