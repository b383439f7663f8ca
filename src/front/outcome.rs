//! What became of a request, with what its trace has to tell beyond the one word.

use super::Disposition;

/// A disposition, and the causes that go into its one tracing event.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) disposition: Disposition,
    /// Why the callback could not be read.
    pub(super) reason: Option<String>,
    /// What failed that should have taken it.
    pub(super) error: Option<String>,
}

impl Outcome {
    pub(super) fn failed(disposition: Disposition, error: String) -> Self {
        Self {
            error: Some(error),
            ..disposition.into()
        }
    }
}

impl From<Disposition> for Outcome {
    fn from(disposition: Disposition) -> Self {
        Self {
            disposition,
            reason: None,
            error: None,
        }
    }
}
