//! The end of a secret, as it is written in a file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as RFC 3339 or as Unix seconds. Nothing before 1970.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()?
    } else {
        u64::try_from(rfc_3339(text)?).ok()?
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Unix seconds; a fraction is dropped.
fn rfc_3339(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    let month = number(sign(&mut rest, "-")?, 2)?;
    let day = number(sign(&mut rest, "-")?, 2)?;
    let hour = number(sign(&mut rest, "Tt")?, 2)?;
    let minute = number(sign(&mut rest, ":")?, 2)?;
    let second = number(sign(&mut rest, ":")?, 2)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    let east = match rest {
        "Z" | "z" => 0,
        _ => {
            let towards = if rest.starts_with('-') { -1 } else { 1 };
            let hours = number(sign(&mut rest, "+-")?, 2)?;
            let minutes = number(sign(&mut rest, ":")?, 2)?;
            if !rest.is_empty() || hours > 23 || minutes > 59 {
                return None;
            }
            towards * (hours * 3600 + minutes * 60)
        }
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    // 60 is a leap second.
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - east)
}

/// Counts years from March, so that the leap day is the last one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    year * 365 + leap_days + before_month + day - 1 - 719_468
}

/// Takes so many digits off the front.
fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let (number, after) = rest.split_at_checked(digits)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = after;
    number.parse().ok()
}

/// Takes one of these characters off the front.
fn sign<'a, 'b>(rest: &'a mut &'b str, signs: &str) -> Option<&'a mut &'b str> {
    *rest = rest.strip_prefix(|c| signs.contains(c))?;
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let end = parse(text)?.duration_since(UNIX_EPOCH).unwrap();
        Some(end.as_secs())
    }

    #[test]
    fn unix_seconds_and_rfc_3339_are_read() {
        for (text, expected) in [
            ("0", 0),
            ("1735661400", 1_735_661_400),
            ("1970-01-01T00:00:00Z", 0),
            ("2024-12-31T16:10:00Z", 1_735_661_400),
            ("2024-12-31t16:10:00.999z", 1_735_661_400),
            ("2025-01-01T00:10:00+08:00", 1_735_661_400),
            ("2024-12-31T11:40:00-04:30", 1_735_661_400),
            ("2025-01-01T16:09:00+23:59", 1_735_661_400),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("1990-12-31T23:59:60Z", 662_688_000),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "never",
            "-1",
            "1.5",
            "99999999999999999999",
            "18446744073709551615",
            "2026-12-01",
            "2026-12-01T00:00:00",
            "2026-12-01 00:00:00Z",
            "2026-12-01T00:00Z",
            "2026-12-01T00:00:00.Z",
            "2026-12-01T00:00:00Zx",
            "2026-12-01T00:00:00+0100",
            "2026-12-01T00:00:00+24:00",
            "2026-12-01T00:00:00+01:60",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-12-00T00:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01T00:60:00Z",
            "2026-12-01T00:00:61Z",
            "+026-12-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-12-01T00:00:0\u{661}Z",
            "20\u{e4}6-12-01T00:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
