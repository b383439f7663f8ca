//! Until when a certificate is good: as much of DER as that takes (RFC 5280, section 4.1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate; `None` where it is none.
pub(crate) fn not_after(der: &[u8]) -> Option<SystemTime> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    let (tag, _, rest) = element(signed)?;
    // The version is left out of those of version 1.
    let rest = if tag == VERSION { rest } else { signed };
    // Serial number, algorithm, issuer.
    let (_, _, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (tag, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (kind, time, _) = element(rest)?;
    let text = str::from_utf8(time).ok()?;
    let (year, rest) = match (tag, kind) {
        (SEQUENCE, UTC_TIME) => {
            let year = number(text, 0..2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (SEQUENCE, GENERALIZED_TIME) => (number(text, 0..4)?, 4),
        _ => return None,
    };
    let part = |at: usize| number(text, rest + at..rest + at + 2);
    let days = days(year, part(0)?, part(2)?)?;
    let seconds = (part(4)? * 60 + part(6)?) * 60 + part(8)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(days * 24 * 60 * 60 + seconds))
}

/// The first element: its tag, what is in it, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], mut rest) = der.split_first_chunk::<2>()?;
    let length = if short < 0x80 {
        usize::from(short)
    } else {
        let bytes;
        (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((tag, inside, rest))
}

fn number(text: &str, place: std::ops::Range<usize>) -> Option<u64> {
    let digits = text.get(place)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// Days since 1970, of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the odd day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap = year / 4 - year / 100 + year / 400;
    (year * 365 + leap + (month * 153 + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for ((year, month, day), count) in [
            ((1970, 1, 1), 0),
            ((1972, 2, 29), 789),
            ((2000, 3, 1), 11_017),
            ((2026, 12, 1), 20_788),
            ((2100, 3, 1), 47_541),
        ] {
            assert_eq!(days(year, month, day), Some(count), "{year}-{month}-{day}");
        }
        assert_eq!(days(2026, 13, 1), None);
    }

    #[test]
    fn a_certificate_says_until_when_it_is_good() {
        let time = |kind: u8, text: &str| {
            let length = u8::try_from(text.len()).unwrap();
            [&[kind, length], text.as_bytes()].concat()
        };
        let sequence = |parts: &[Vec<u8>]| {
            let inside = parts.concat();
            let length = u8::try_from(inside.len()).unwrap();
            [&[SEQUENCE, 0x81, length][..], &inside].concat()
        };
        let certificate = |end: Vec<u8>, version: Vec<u8>| {
            let validity = sequence(&[time(UTC_TIME, "250101000000Z"), end]);
            let (serial, empty) = (vec![2, 1, 7], sequence(&[]));
            let signed = sequence(&[version, serial, empty.clone(), empty, validity]);
            sequence(&[signed])
        };
        let version = vec![VERSION, 3, 2, 1, 2];
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let utc = certificate(time(UTC_TIME, "261201000102Z"), version.clone());
        assert_eq!(not_after(&utc), at(1_796_083_262));
        let generalized = certificate(time(GENERALIZED_TIME, "21000301000000Z"), Vec::new());
        assert_eq!(not_after(&generalized), at(4_107_542_400));
        for cut in 0..utc.len() {
            assert_eq!(not_after(&utc[..cut]), None, "{cut}");
        }
        assert_eq!(not_after(&certificate(vec![4, 1, 0], version)), None);
    }
}
