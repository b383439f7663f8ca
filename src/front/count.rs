//! What of a request is counted.

use std::time::Duration;

use super::{Disposition, Endpoint, Sink};
use crate::{count, event::Source, verify::Verified};

impl Endpoint {
    /// Counts what became of a request, and of a refused one what was wrong.
    pub(super) fn count(&self, disposition: Disposition, took: impl FnOnce() -> Duration) {
        count::received(&self.name, disposition.as_str(), took);
        match disposition {
            Disposition::Refused(refusal) => {
                count::refused(&self.name, refusal.kind().as_str(), refusal.part());
            }
            Disposition::Stored | Disposition::Upgraded | Disposition::Accepted
                if !matches!(self.sink, Sink::Store { hint: Some(_), .. }) =>
            {
                count::event(&self.name, Source::Callback.as_str());
            }
            _ => {}
        }
    }

    /// Counts which secrets proved a caller, by their labels.
    pub(super) fn count_proof(&self, verified: &Verified) {
        for label in verified.labels() {
            let retiring = verified.retiring().any(|retiring| retiring == Some(label));
            count::secret_used(&self.name, label, retiring);
        }
    }
}
