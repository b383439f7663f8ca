//! Why secrets were not taken.

use std::{error::Error as StdError, fmt, io};

/// Why secrets could not be loaded or replaced. It names the place, and never what stands there.
#[derive(Debug)]
pub struct SecretsError {
    place: String,
    problem: String,
    source: Option<io::Error>,
}

impl SecretsError {
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
            source: None,
        }
    }

    pub(super) fn io(place: impl Into<String>, source: io::Error) -> Self {
        Self {
            place: place.into(),
            problem: "cannot be read".to_owned(),
            source: Some(source),
        }
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl StdError for SecretsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|error| error as &(dyn StdError + 'static))
    }
}
