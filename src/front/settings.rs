//! The limits of the front.

use std::time::Duration;

use crate::error::BuildError;

/// What the builder sets for the front. Each default has its reason at the builder's method.
#[derive(Clone, Debug)]
pub(crate) struct FrontSettings {
    pub(crate) body_limit: usize,
    /// If it was set.
    pub(crate) unproven_body_limit: Option<usize>,
    pub(crate) unproven_bodies: usize,
    /// If it was set.
    pub(crate) body_timeout: Option<Duration>,
    pub(crate) ack_deadline: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) strict_content_type: bool,
    pub(crate) conceal: bool,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            body_limit: 2 * 1024 * 1024,
            unproven_body_limit: None,
            unproven_bodies: 64,
            body_timeout: None,
            ack_deadline: Duration::from_secs(10),
            retry_after: Duration::from_secs(60),
            strict_content_type: false,
            conceal: false,
        }
    }
}

impl FrontSettings {
    /// No body that must be read before proof may be larger than one that need not.
    pub(super) fn unproven_body_limit(&self) -> usize {
        let limit = self.unproven_body_limit.unwrap_or(256 * 1024);
        limit.min(self.body_limit)
    }

    pub(super) fn body_timeout(&self) -> Duration {
        self.body_timeout.unwrap_or(Duration::from_secs(5))
    }

    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        let positive = [
            ("body_limit", self.body_limit > 0),
            ("unproven_body_limit", self.unproven_body_limit != Some(0)),
            ("unproven_bodies", self.unproven_bodies > 0),
            ("body_timeout", self.body_timeout != Some(Duration::ZERO)),
            ("ack_deadline", !self.ack_deadline.is_zero()),
            ("retry_after", !self.retry_after.is_zero()),
        ];
        for (setting, is_positive) in positive {
            if !is_positive {
                return Err(BuildError::new(
                    setting,
                    "is zero, and nothing could be received or come again: leave it out for the default",
                ));
            }
        }
        self.check_pairs()?;
        if self.unproven_bodies > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(BuildError::new(
                "unproven_bodies",
                "is larger than any machine: leave it out for the default of 64",
            ));
        }
        Ok(())
    }

    /// What was asked for and would never take effect. A default gives way in silence.
    fn check_pairs(&self) -> Result<(), BuildError> {
        let (deadline, limit) = (self.ack_deadline, self.body_limit);
        match (self.body_timeout, self.unproven_body_limit) {
            (Some(timeout), _) if timeout > deadline => Err(BuildError::new(
                "body_timeout",
                format!(
                    "{timeout:?} is longer than the `ack_deadline` of {deadline:?}, which ends the \
                     request before: make it shorter, or the deadline longer"
                ),
            )),
            (_, Some(unproven)) if unproven > limit => Err(BuildError::new(
                "unproven_body_limit",
                format!(
                    "{unproven} bytes are more than the `body_limit` of {limit}, which holds for \
                     every body: make it smaller, or that one larger"
                ),
            )),
            _ => Ok(()),
        }
    }
}
