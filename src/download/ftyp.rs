//! The box that every MP4 file begins with.

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It begins as an MP4 file does.
    Video,
    /// It is something else.
    Other,
    /// There are too few bytes to tell.
    TooShort,
}

/// As many bytes as it takes to tell.
pub(crate) const ENOUGH: usize = 8;

/// The smallest box: its size, its name, the brand and the brand's version.
const SMALLEST: u32 = 16;

/// More brands than this name nothing: there are about a hundred of them.
const LARGEST: u32 = 64 * 1024;

/// Looks for an `ftyp` box at the start of a file (ISO/IEC 14496-12, section 4.3).
pub(crate) fn start(bytes: &[u8]) -> Start {
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else {
        return Start::TooShort;
    };
    let Some(name) = rest.first_chunk::<4>() else {
        return Start::TooShort;
    };
    // 0 ("to the end of the file") and 1 ("a size of 64 bits follows") are for boxes that hold media.
    let size = u32::from_be_bytes(*size);
    if name == b"ftyp" && (SMALLEST..=LARGEST).contains(&size) && size.is_multiple_of(4) {
        Start::Video
    } else {
        Start::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mp4_file_is_told_from_what_is_none() {
        assert_eq!(start(b"\0\0\0\x20ftypisom\0\0\x02\0"), Start::Video);
        assert_eq!(start(b"\0\0\0\x10ftyp"), Start::Video);
        for other in [
            &b"<!DOCTYPE html>"[..],
            b"\0\0\0\x20moov",
            b"\0\0\0\x00ftyp",
            b"\0\0\0\x01ftyp",
            b"\0\0\0\x0cftyp",
            b"\0\0\0\x11ftyp",
            b"htmlftyp",
            b"\x1f\x8b\x08\0\0\0\0\0",
        ] {
            assert_eq!(start(other), Start::Other, "{other:?}");
        }
        for short in [&b""[..], b"\0\0\0", b"\0\0\0\x20fty"] {
            assert_eq!(start(short), Start::TooShort, "{short:?}");
        }
    }
}
