//! Why a callback could not be read.

use std::{error::Error as StdError, fmt};

use super::InvalidKey;
use crate::BoxError;

/// Why a callback is no event. Its text is traced and kept beside the quarantined callback, at most
/// 512 bytes of it, and never sent to the caller.
///
/// # Security
///
/// Since it is traced, the text must quote nothing of the body or the headers. The errors of
/// [`Callback::json`](super::Callback::json) and of [`MusicVideo`](crate::MusicVideo) do not; those
/// of other parsers often quote the value that they did not expect.
#[derive(Debug)]
pub struct ParseError {
    kind: ParseErrorKind,
    reason: BoxError,
}

/// What the caller is answered when a callback cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Not the format at all, such as broken JSON: 400.
    Syntax,
    /// Well-formed, but not this event: 422.
    Unprocessable,
}

impl ParseError {
    /// The body is not the format at all: answered with 400.
    pub fn syntax(reason: impl Into<BoxError>) -> Self {
        Self {
            kind: ParseErrorKind::Syntax,
            reason: reason.into(),
        }
    }

    /// The body is well-formed but not this event: answered with 422.
    pub fn unprocessable(reason: impl Into<BoxError>) -> Self {
        Self {
            kind: ParseErrorKind::Unprocessable,
            reason: reason.into(),
        }
    }

    /// Which of the two it is.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ParseErrorKind::Syntax => f.write_str("not well-formed: ")?,
            ParseErrorKind::Unprocessable => f.write_str("not this event: ")?,
        }
        self.reason.fmt(f)
    }
}

impl StdError for ParseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.reason.source()
    }
}

impl From<InvalidKey> for ParseError {
    fn from(invalid: InvalidKey) -> Self {
        Self::unprocessable(invalid)
    }
}
