//! What is counted, with the feature `metrics`. Labels are names that we or the user chose: never
//! a secret, a key or anything else that a caller sends.

use std::time::Duration;

use super::{Disposition, Endpoint};
use crate::verify::Verified;

#[cfg(feature = "metrics")]
impl Endpoint {
    /// Counts what became of a request, and of a refused one what was wrong.
    pub(super) fn count(&self, disposition: Disposition, _took: Duration) {
        let endpoint = || self.name().to_owned();
        metrics::counter!(
            "tower_callback_received_total",
            "endpoint" => endpoint(),
            "outcome" => disposition.as_str()
        )
        .increment(1);
        if let Disposition::Refused(refusal) = disposition {
            metrics::counter!(
                "tower_callback_refused_total",
                "endpoint" => endpoint(),
                "kind" => refusal.kind().as_str(),
                "part" => refusal.part()
            )
            .increment(1);
        }
    }

    /// Counts which secrets proved a caller, by their labels.
    pub(super) fn count_proof(&self, verified: &Verified) {
        for label in verified.labels() {
            let retiring = verified.retiring().any(|retiring| retiring == Some(label));
            metrics::counter!(
                "tower_callback_secret_used_total",
                "endpoint" => self.name().to_owned(),
                "label" => label.to_owned(),
                "retiring" => if retiring { "true" } else { "false" }
            )
            .increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
#[allow(clippy::unused_self, reason = "the twin of what counts")]
impl Endpoint {
    pub(super) fn count(&self, _: Disposition, _: Duration) {}

    pub(super) fn count_proof(&self, _: &Verified) {}
}
