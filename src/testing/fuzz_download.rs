//! Laws of what a downloader reads before it believes a server.

use crate::download::{ContentRange, ENOUGH, Start, start};

/// Checks the laws of a `Content-Range` on one input, which is the header's value:
///
/// - it is read without a panic,
/// - a range that is read has a byte at least, none beyond the total, and is the same when it is
///   written out and read again,
/// - spaces around it, and the case of its unit, change nothing.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_content_range(input: &[u8]) {
    let Some(range) = ContentRange::parse(input) else {
        return;
    };
    if let Some((from, end)) = range.part {
        assert!(from < end, "a part without a byte: {range:?}");
        let total = range.total.unwrap_or(u64::MAX);
        assert!(end <= total, "a part beyond the total: {range:?}");
    }
    let part = match range.part {
        Some((from, end)) => format!("{from}-{}", end - 1),
        None => "*".to_owned(),
    };
    let total = range
        .total
        .map_or("*".to_owned(), |total| total.to_string());
    let written = format!("bytes {part}/{total}");
    assert_eq!(
        ContentRange::parse(written.as_bytes()),
        Some(range),
        "it is read differently when it is written out"
    );
    let louder = [b" \t", &*input.to_ascii_uppercase(), b" "].concat();
    assert_eq!(
        ContentRange::parse(&louder),
        Some(range),
        "spaces around it or its case changed it"
    );
}

/// Checks the laws of what tells a video from something else on one input, which is a file:
///
/// - it is looked at without a panic,
/// - its first eight bytes decide whether it is a video, and no more change that,
/// - what is a video begins with an `ftyp` box.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_mp4_head(input: &[u8]) {
    let first = &input[..input.len().min(ENOUGH)];
    let told = start(first);
    assert_eq!(
        told == Start::TooShort,
        first.len() < ENOUGH,
        "as many bytes as it takes tell, and fewer do not"
    );
    assert_eq!(start(input), told, "more bytes changed what a file is");
    if told == Start::Video {
        assert_eq!(&first[4..], b"ftyp", "a video without its first box");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_is_read_exactly_if_it_has_a_byte_and_lies_within_the_total(
            first in any::<u64>(),
            length in prop_oneof![0..10_u64, any::<u64>()],
            total in proptest::option::of(any::<u64>()),
        ) {
            let last = first.saturating_add(length);
            let whole = total.map_or("*".to_owned(), |total| total.to_string());
            let value = format!("bytes {first}-{last}/{whole}");
            fuzz_content_range(value.as_bytes());
            let range = ContentRange::parse(value.as_bytes());
            let fits = last < total.unwrap_or(u64::MAX);
            let expected = fits.then(|| ContentRange {
                part: Some((first, last + 1)),
                total,
            });
            prop_assert_eq!(range, expected);
        }

        #[test]
        fn a_video_is_one_whatever_follows_its_first_box(
            size in any::<[u8; 4]>(),
            kind in prop_oneof![Just(*b"ftyp"), any::<[u8; 4]>()],
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            fuzz_mp4_head(&[&size[..], &kind, &rest].concat());
        }
    }

    #[test]
    fn the_laws_hold_for_what_is_read_and_what_is_not() {
        for input in [
            &b""[..],
            b"bytes 0-0/1",
            b"Bytes  7-9/* ",
            b"bytes */10",
            b"bytes 9-5/10",
            b"\0\0\0\x20fty",
            b"\0\0\0\x20ftypisom",
            b"<!DOCTYPE html>",
            b"\xff",
        ] {
            fuzz_content_range(input);
            fuzz_mp4_head(input);
        }
    }
}
