//! Why a URL was not minted.

use std::time::Duration;

use super::MAX_CORRELATION;
use crate::error::BuildError;

/// Why a callback URL was not minted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// A setting is wrong: building an endpoint with it fails in the same way.
    #[error(transparent)]
    Settings(BuildError),
    /// The correlation id is empty, too long, or has control characters.
    #[error("a correlation id has 1 to {MAX_CORRELATION} bytes and no control characters")]
    Correlation,
    /// The URL would be good for longer than any may be.
    #[error("{asked:?} is more than the longest time that a URL can be good, {longest:?}")]
    TooLong {
        /// What was asked for.
        asked: Duration,
        /// The longest time.
        longest: Duration,
    },
    /// All keys end before the URL would.
    #[error("no key lasts as long as the URL: add a new one, or mint it for a shorter time")]
    NoKey,
}
