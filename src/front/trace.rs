//! One tracing event for each outcome: with fields, never with a URI, a header or a body.

use super::{Disposition, Endpoint, outcome::Outcome};
use crate::verify::{RefusalKind, Verified};

impl Endpoint {
    /// Traces which secrets proved a caller, so that people know when a retiring one can go.
    pub(super) fn trace_proof(&self, verified: &Verified) {
        let endpoint = self.name();
        for label in verified.labels() {
            tracing::debug!(endpoint, label, "callback proven");
        }
        for label in verified.retiring() {
            if let Some(held_back) = self.retiring_log.pass(label) {
                tracing::warn!(
                    endpoint,
                    label,
                    held_back,
                    "a retiring secret is still in use"
                );
            }
        }
    }

    /// Traces what became of a request. What a caller without proof can cause is limited, so that a
    /// flood does not fill the disk.
    pub(super) fn trace(&self, outcome: &Outcome) {
        let (reason, error) = (outcome.reason.as_deref(), outcome.error.as_deref());
        let disposition = outcome.disposition;
        let endpoint = self.name();
        let outcome = disposition.as_str();
        let status = disposition.status().as_u16();
        match disposition {
            Disposition::Stored | Disposition::Upgraded | Disposition::Accepted => {
                tracing::debug!(endpoint, outcome, status, "callback received");
            }
            Disposition::Tested => {
                tracing::info!(endpoint, outcome, status, "test callback received");
            }
            Disposition::Repeated { differs: false } => {
                tracing::debug!(endpoint, outcome, status, "callback repeated");
            }
            Disposition::Repeated { differs: true } => {
                tracing::info!(
                    endpoint,
                    outcome,
                    status,
                    "callback repeated with other bytes"
                );
            }
            Disposition::MethodNotAllowed => {
                tracing::debug!(endpoint, outcome, status, "callback refused");
            }
            Disposition::Refused(refusal) if refusal.kind() == RefusalKind::Missing => {
                let (kind, part) = (refusal.kind().as_str(), refusal.part());
                tracing::debug!(endpoint, outcome, status, kind, part, "callback refused");
            }
            Disposition::Refused(refusal) => {
                if let Some(held_back) = self.unproven_log.pass() {
                    let (kind, part) = (refusal.kind().as_str(), refusal.part());
                    tracing::warn!(
                        endpoint,
                        outcome,
                        status,
                        kind,
                        part,
                        held_back,
                        "callback refused"
                    );
                }
            }
            Disposition::Panicked { proven } => {
                // A stranger who found out what makes the proof panic must not fill the disk.
                let passed = if proven {
                    Some(0)
                } else {
                    self.panic_log.pass()
                };
                if let Some(held_back) = passed {
                    tracing::error!(
                        endpoint,
                        outcome,
                        status,
                        held_back,
                        "user code panicked on a callback"
                    );
                }
            }
            unproven if !unproven.is_proven() => {
                if let Some(held_back) = self.unproven_log.pass() {
                    tracing::warn!(endpoint, outcome, status, held_back, "callback refused");
                }
            }
            _ if status == 503 => {
                tracing::error!(
                    endpoint,
                    outcome,
                    status,
                    error,
                    reason,
                    "callback not taken"
                );
            }
            _ => tracing::warn!(endpoint, outcome, status, reason, "callback not read"),
        }
    }
}
