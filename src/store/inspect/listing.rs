//! Lists, page by page.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use super::Summary;
use crate::store::State;

/// What to list of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Only records in this state; all by default.
    pub state: Option<State>,
    /// Where the page before ended; from the beginning by default.
    pub after: Option<Cursor>,
    limit: usize,
}

impl Listing {
    /// The most records of a page.
    pub const MAX_LIMIT: usize = 1000;

    /// Everything, in pages of 100 records: more than a screen, and less than a store notices.
    pub fn all() -> Self {
        Self {
            state: None,
            after: None,
            limit: 100,
        }
    }

    /// What is in one state.
    pub fn of(state: State) -> Self {
        Self {
            state: Some(state),
            ..Self::all()
        }
    }

    /// At most this many records in a page: 1 to [`MAX_LIMIT`](Self::MAX_LIMIT).
    #[must_use]
    pub fn with_limit(mut self, records: usize) -> Self {
        self.limit = records.clamp(1, Self::MAX_LIMIT);
        self
    }

    /// Goes on where another page of the same queue and state ended.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// The most records of this page.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::all()
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The records. There may be fewer than were asked for, or none, though more are to come.
    pub records: Vec<Summary>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Cursor>,
}

impl Page {
    /// A page, and where the next one begins.
    pub fn new(records: Vec<Summary>, next: Option<Cursor>) -> Self {
        Self { records, next }
    }
}

/// A place in a list, for the store that gave it. It outlives the store's process; written as text,
/// it can be handed to the next call of a command.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A place, in a store's own terms.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The place, in the store's own terms.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// As hexadecimal digits.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that no cursor was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is an even number of hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(InvalidCursor);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(InvalidCursor);
        let bytes: Result<Vec<u8>, _> = pairs
            .iter()
            .map(|&[high, low]| {
                let byte = digit(high)? * 16 + digit(low)?;
                u8::try_from(byte).map_err(|_| InvalidCursor)
            })
            .collect();
        bytes.map(Self::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        let cursor = Cursor::from_bytes(vec![0, 15, 255]);
        assert_eq!(cursor.to_string(), "000fff");
        assert_eq!("000fff".parse(), Ok(cursor));
        for text in ["0", "0g", "+1", "ä"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn a_page_has_a_record_at_least_and_a_thousand_at_most() {
        let limit = |records| Listing::all().with_limit(records).limit();
        assert_eq!((limit(0), limit(7), limit(usize::MAX)), (1, 7, 1000));
    }
}
