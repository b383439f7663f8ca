//! The idempotency key of an event.

use std::fmt;

use bytes::Bytes;

/// Which of two callbacks with the same key wins: the higher rank, and the first one among equals.
///
/// [`MusicVideo`](crate::music_video::MusicVideo) gives a failure rank 0 and a success rank 1, so
/// that no late failure undoes a success.
pub type Rank = u16;

/// Says which callbacks are the same event: 1 to 255 bytes of text without control characters, and a rank.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventKey {
    key: Bytes,
    rank: Rank,
}

impl EventKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 255;

    /// A key of rank 0.
    ///
    /// # Errors
    ///
    /// When `key` is empty, longer than [`MAX_LEN`](Self::MAX_LEN) bytes, or contains a control character.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidKey> {
        let key = key.as_ref();
        match key.len() {
            0 => return Err(InvalidKey::Empty),
            1..=Self::MAX_LEN => {}
            _ => return Err(InvalidKey::TooLong),
        }
        // Almost all keys are ASCII, and bytes are faster looked at.
        let has_control = match key.is_ascii() {
            true => key.bytes().any(|byte| byte.is_ascii_control()),
            false => key.chars().any(char::is_control),
        };
        if has_control {
            return Err(InvalidKey::ControlCharacter);
        }
        Ok(Self {
            key: Bytes::copy_from_slice(key.as_bytes()),
            rank: 0,
        })
    }

    /// The same key with another rank.
    #[must_use]
    pub fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// The rank.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        // Made from a `str`, and never changed since.
        std::str::from_utf8(&self.key).unwrap_or_default()
    }

    pub(crate) fn into_parts(self) -> (Bytes, Rank) {
        (self.key, self.rank)
    }

    /// The key and the rank of a hint, whose keys begin so.
    pub(crate) fn into_hint(self, begin: &str) -> (Bytes, Rank) {
        ([begin.as_bytes(), &self.key].concat().into(), self.rank)
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventKey")
            .field("key", &self.as_str())
            .field("rank", &self.rank)
            .finish()
    }
}

/// Why a text is no [`EventKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// A key has at least one byte.
    #[error("the event's key is empty")]
    Empty,
    /// A key has at most [`EventKey::MAX_LEN`] bytes.
    #[error("the event's key is longer than {} bytes", EventKey::MAX_LEN)]
    TooLong,
    /// Keys are shown to people and written to logs.
    #[error("the event's key contains a control character")]
    ControlCharacter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_bytes() {
        assert_eq!(EventKey::new(""), Err(InvalidKey::Empty));
        assert!(EventKey::new("a").is_ok());
        assert!(EventKey::new("a".repeat(255)).is_ok());
        assert_eq!(EventKey::new("a".repeat(256)), Err(InvalidKey::TooLong));
        assert_eq!(
            EventKey::new("ä".repeat(128)),
            Err(InvalidKey::TooLong),
            "bytes count, not characters"
        );
    }

    #[test]
    fn a_key_goes_with_its_rank() {
        let key = EventKey::new("a").unwrap().with_rank(3);
        assert_eq!(key.rank(), 3);
        assert_eq!(key.clone().into_parts(), (Bytes::from("a"), 3));
        assert_eq!(key.into_hint("h:"), (Bytes::from("h:a"), 3));
    }

    #[test]
    fn a_key_has_no_control_characters() {
        for hostile in ["a\0b", "a\nb", "\u{7f}", "\u{85}"] {
            assert_eq!(
                EventKey::new(hostile),
                Err(InvalidKey::ControlCharacter),
                "{hostile:?}"
            );
        }
        assert_eq!(EventKey::new("id 7/ä").unwrap().as_str(), "id 7/ä");
    }
}
