//! Texts: of errors, of times, and of what others have written.

use std::{error::Error, time::Duration};

/// An error with all its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    plain(&text)
}

/// What a provider or a handler wrote, with nothing in it that a terminal obeys.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// The same of bytes.
pub(crate) fn plain_bytes(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => plain(text),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// A time as it is written in a command line: `250ms`, `15s`, `5m`, `48h`, `30d`.
pub(crate) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || "write it as 250ms, 15s, 5m, 48h or 30d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let (_, millis) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let millis = number.checked_mul(millis).ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis))
}

/// A time in its largest unit, for people.
pub(crate) fn about(time: Duration) -> String {
    let millis = millis(time);
    let (unit, size) = UNITS
        .into_iter()
        .find(|(_, size)| millis >= *size)
        .unwrap_or(("ms", 1));
    format!("{} {unit}", millis / size)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 24 * 60 * 60)));
        assert_eq!(duration("0ms"), Ok(Duration::ZERO));
        for text in ["", "15", "s", "-1s", "1.5s", "15 s", "99999999999999999d"] {
            duration(text).unwrap_err();
        }
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        for (millis, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (119_999, "1 m"),
            (90_000_000, "1 d"),
        ] {
            assert_eq!(about(Duration::from_millis(millis)), told);
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(
            plain("a\x1b[2Jb\u{9b}\u{202e}c\nü"),
            "a\\u{1b}[2Jb\\u{9b}\\u{202e}c\\nü"
        );
        assert_eq!(plain_bytes(b"\xffx"), "\\xffx");
    }
}
