//! For tests: the edges of time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

/// Any duration, and often one at an edge: nothing, less than a store can tell, what no timer waits
/// for, more milliseconds than 64 bits hold.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    prop_oneof![
        prop::sample::select(vec![
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(999_999),
            Duration::from_millis(1),
            Duration::from_secs(1),
            YEAR,
            YEAR * 3000,
            Duration::from_millis(i64::MAX as u64),
            Duration::from_millis(u64::MAX),
            Duration::from_secs(i64::MAX as u64),
            Duration::MAX - Duration::from_nanos(1),
            Duration::MAX,
        ]),
        (0..100_000_000_u64).prop_map(Duration::from_micros),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
    ]
}

/// Any time of day that the system can tell, before the epoch too, and often one at an edge.
pub(crate) fn time() -> impl Strategy<Value = SystemTime> {
    (duration(), any::<bool>()).prop_map(|(off, before)| {
        let time = match before {
            true => UNIX_EPOCH.checked_sub(off),
            false => UNIX_EPOCH.checked_add(off),
        };
        time.unwrap_or(UNIX_EPOCH)
    })
}
