//! Points in time, as the provider and its siblings write them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// How `details` writes points in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeFormat {
    /// Milliseconds since 1970: `1735661400000`. The default.
    #[default]
    Millis,
    /// Text without a time zone, in UTC: `"2025-01-01 00:10:00"`.
    Text,
    /// One or the other for each task, as the seed decides.
    Mixed,
}

pub(super) fn millis(time: SystemTime) -> Value {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).into()
}

pub(super) fn text(time: SystemTime) -> Value {
    let since = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").into()
}

/// The date of a day counted from 1970 (H. Hinnant, `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from the first of March of the year 0, so that a leap day ends its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_formats_mean_the_same_point_in_time() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_735_661_400, "2024-12-31 16:10:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ];
        for (seconds, expected) in cases {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(text(time), expected);
            assert_eq!(millis(time), seconds * 1000);
        }
    }
}
