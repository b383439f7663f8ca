//! SHA-256, to be compared and printed.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of a file. It prints as 64 hexadecimal digits, and is read from them.
///
/// ```
/// use tower_callback::download::Digest;
///
/// let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// let digest: Digest = text.parse()?;
/// assert_eq!(digest.to_string(), text);
/// # Ok::<(), tower_callback::download::InvalidDigest>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What a file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) length: u64,
    pub(super) digest: Digest,
}

/// A [`Summary`] that grows with what is read.
#[derive(Default)]
pub(super) struct Summing {
    length: u64,
    hasher: Sha256,
}

impl Summing {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    pub(super) fn end(self) -> Summary {
        Summary {
            length: self.length,
            digest: Digest::of(self.hasher),
        }
    }
}

/// The text is no SHA-256 digest: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest has 64 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(InvalidDigest);
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let bytes: [u8; 32] = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(InvalidDigest)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_in_capitals_too_and_nothing_else_is_one() {
        let text = "0123456789abcdef".repeat(4);
        let digest: Digest = text.parse().unwrap();
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        assert_eq!(digest.as_bytes()[..2], [0x01, 0x23]);
        for wrong in [
            &text[1..],
            &text[2..],
            &format!("{text}00"),
            "",
            &"+f".repeat(32),
        ] {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest), "{wrong}");
        }
    }
}
