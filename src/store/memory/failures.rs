//! The attempts of a record that failed.

use std::time::Duration;

use crate::store::inspect::{FailedAttempt, Record};

/// The newest failed attempts, the newest last.
#[derive(Default)]
pub(super) struct Failures(Vec<Failure>);

struct Failure {
    attempt: u32,
    at: Duration,
    error: Box<str>,
}

impl Failures {
    pub(super) fn push(&mut self, attempt: u32, at: Duration, error: &str) {
        if self.0.len() >= Record::MAX_FAILURES {
            self.0.remove(0);
        }
        self.0.push(Failure {
            attempt,
            at,
            error: error.into(),
        });
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        Some(&*self.0.last()?.error)
    }

    /// As they are told, the newest first.
    pub(super) fn told(&self, now: Duration) -> Vec<FailedAttempt> {
        self.0
            .iter()
            .rev()
            .map(|failure| {
                let ago = now.saturating_sub(failure.at);
                FailedAttempt::new(failure.attempt, ago, &*failure.error)
            })
            .collect()
    }
}
