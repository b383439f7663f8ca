//! The attempts of a record that failed.

use std::time::Duration;

use crate::store::inspect::{FailedAttempt, Record};

/// The newest failed attempts, the newest last. Most records have none, and are not to pay for it.
#[derive(Default)]
pub(super) struct Failures(Option<Box<Vec<Failure>>>);

struct Failure {
    attempt: u32,
    at: Duration,
    error: Box<str>,
}

impl Failures {
    pub(super) fn push(&mut self, attempt: u32, at: Duration, error: &str) {
        let failures = self.0.get_or_insert_default();
        if failures.len() >= Record::MAX_FAILURES {
            failures.remove(0);
        }
        failures.push(Failure {
            attempt,
            at,
            error: error.into(),
        });
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        Some(&*self.0.as_ref()?.last()?.error)
    }

    /// As they are told, the newest first.
    pub(super) fn told(&self, now: Duration) -> Vec<FailedAttempt> {
        let failures = self.0.as_deref().map_or(&[][..], Vec::as_slice);
        failures
            .iter()
            .rev()
            .map(|failure| {
                let ago = now.saturating_sub(failure.at);
                FailedAttempt::new(failure.attempt, ago, &*failure.error)
            })
            .collect()
    }
}
