//! What every event read from JSON has in common.

use serde::de::IgnoredAny;

use super::ParseError;
use crate::BoxError;

/// The text of a body, without a byte order mark.
pub(crate) fn text(body: &[u8]) -> Result<&str, ParseError> {
    let text = std::str::from_utf8(body).map_err(ParseError::syntax)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The error for a text that is not the event. Whatever was found wrong first, what is not JSON to
/// its end is a syntax error.
pub(crate) fn unreadable(text: &str, reason: impl Into<BoxError>) -> ParseError {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => ParseError::unprocessable(reason),
        Err(error) => ParseError::syntax(error),
    }
}

/// What serde found wrong, without the values that it quotes: the body is foreign, and may be long
/// or private.
pub(super) fn wording(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // These two name a member of the type, not of the body.
    if text.starts_with("missing field `") || text.starts_with("duplicate field `") {
        text
    } else {
        format!(
            "a value that does not fit at line {} column {}",
            error.line(),
            error.column()
        )
    }
}
