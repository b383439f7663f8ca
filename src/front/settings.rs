//! The limits of the front.

use std::time::Duration;

use crate::error::BuildError;

/// What the builder sets for the front. Each default has its reason at the builder's method.
#[derive(Clone, Debug)]
pub(crate) struct FrontSettings {
    pub(crate) body_limit: usize,
    pub(crate) unproven_body_limit: usize,
    pub(crate) unproven_bodies: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) ack_deadline: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) strict_content_type: bool,
    pub(crate) conceal: bool,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            body_limit: 2 * 1024 * 1024,
            unproven_body_limit: 256 * 1024,
            unproven_bodies: 64,
            body_timeout: Duration::from_secs(5),
            ack_deadline: Duration::from_secs(10),
            retry_after: Duration::from_secs(60),
            strict_content_type: false,
            conceal: false,
        }
    }
}

impl FrontSettings {
    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        let positive = [
            ("body_limit", self.body_limit > 0),
            ("unproven_body_limit", self.unproven_body_limit > 0),
            ("unproven_bodies", self.unproven_bodies > 0),
            ("body_timeout", !self.body_timeout.is_zero()),
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
        if self.unproven_bodies > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(BuildError::new(
                "unproven_bodies",
                "is larger than any machine: leave it out for the default of 64",
            ));
        }
        Ok(())
    }
}
