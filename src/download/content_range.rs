//! The header that says which part of a file an answer is.

/// `Content-Range: bytes 5-9/10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte of the part, and the one after its last; `None` where there is no part (`bytes */10`).
    pub(crate) part: Option<(u64, u64)>,
    /// The length of the whole, where the server knows it.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    /// Reads the header's value; `None` when it contradicts itself, or is not about bytes.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let (unit, range) = value.trim_ascii().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (part, total) = range.trim_ascii().split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        if part == "*" {
            // Without a part and a total it would say nothing.
            return total.map(|total| Self {
                part: None,
                total: Some(total),
            });
        }
        let (first, last) = part.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let end = last.checked_add(1)?;
        if last < first || total.is_some_and(|total| end > total) {
            return None;
        }
        Some(Self {
            part: Some((first, end)),
            total,
        })
    }
}

/// A number as HTTP writes it: digits and nothing else, no sign.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(part: Option<(u64, u64)>, total: Option<u64>) -> Option<ContentRange> {
        Some(ContentRange { part, total })
    }

    #[test]
    fn a_part_of_a_whole_is_read() {
        let parse = |value: &str| ContentRange::parse(value.as_bytes());
        assert_eq!(parse("bytes 5-9/10"), range(Some((5, 10)), Some(10)));
        assert_eq!(parse("BYTES 0-0/1"), range(Some((0, 1)), Some(1)));
        assert_eq!(parse("bytes 5-9/*"), range(Some((5, 10)), None));
        assert_eq!(parse("bytes */10"), range(None, Some(10)));
    }

    #[test]
    fn what_contradicts_itself_is_not_read() {
        for value in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 5-/10",
            "bytes -5/10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes */*",
            "bytes +5-9/10",
            "bytes 5-9/10, 11-12/13",
            "items 5-9/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-18446744073709551616/*",
        ] {
            assert_eq!(ContentRange::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(ContentRange::parse(b"bytes 5-9/1\xff"), None);
    }
}
