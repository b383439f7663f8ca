//! Which part of a file a `Range` header asks for.

/// Which part of a file was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: no range, or one that a server may ignore.
    Whole,
    /// From the first byte to before the second.
    Part(std::ops::Range<u64>),
    /// Nothing that there is.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of this length. Several ranges at once count as none, which
/// RFC 9110 allows.
pub(super) fn asked(header: Option<&str>, length: u64) -> Asked {
    header
        .and_then(|header| parse(header, length))
        .unwrap_or(Asked::Whole)
}

fn parse(header: &str, length: u64) -> Option<Asked> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let part = match (first, last) {
        ("", last) => length.saturating_sub(number(last)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(if part.is_empty() {
        Asked::Unsatisfiable
    } else {
        Asked::Part(part)
    })
}

/// Digits only; what is more than a number can hold is past the end of any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file_and_what_is_no_single_range_is_ignored() {
        let cases = [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-99", Asked::Part(0..100)),
            ("bytes=10-19", Asked::Part(10..20)),
            ("bytes=10-", Asked::Part(10..100)),
            ("bytes=99-500", Asked::Part(99..100)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..100)),
            ("bytes=-1", Asked::Part(99..100)),
            ("bytes=-500", Asked::Part(0..100)),
            ("Bytes=1-2", Asked::Part(1..3)),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=100-200", Asked::Unsatisfiable),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes", Asked::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(asked(Some(header), 100), expected, "{header}");
        }
        assert_eq!(asked(None, 100), Asked::Whole);
    }
}
