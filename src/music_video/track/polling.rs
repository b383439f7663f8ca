//! When the provider is asked.

use std::time::Duration;

use super::Submitter;
use crate::{error::BuildError, music_video::Client};

/// When the provider is asked for tasks whose callback did not come.
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | [first](Self::with_first) | 2 min | most renders take that long, and then a callback saves the question |
/// | [every](Self::with_every) | 30 s | what the provider recommends |
/// | [deadline](Self::with_deadline) | 24 h | nobody waits for a video any longer |
/// | [concurrency](Self::with_concurrency) | 16 | more than the provider's rate limit lets through |
///
/// Times are on the clock of the endpoint. Give the [client](Client) the same.
///
/// However many tasks are open, the provider is not asked more often than the rate limit of the
/// client allows: with thousands, each has to wait for its turn.
#[derive(Clone, Debug)]
#[must_use]
pub struct Polling {
    pub(super) client: Client,
    pub(super) first: Duration,
    pub(super) every: Duration,
    pub(super) deadline: Duration,
    pub(super) concurrency: usize,
    pub(super) resubmitting: Option<Submitter>,
}

impl Polling {
    /// Asks by this client, at the default times.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            first: Duration::from_secs(2 * 60),
            every: Duration::from_secs(30),
            deadline: Duration::from_secs(24 * 60 * 60),
            concurrency: 16,
            resubmitting: None,
        }
    }

    /// Asks for a task for the first time when it was submitted this long ago: 2 minutes by default.
    pub fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Asks again after this: 30 seconds by default.
    pub fn with_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Gives a task up when it was submitted this long ago: 24 hours by default. It becomes a dead
    /// letter then, with the reason. An event that comes later is handled all the same.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many tasks are looked at at once: 16 by default.
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Submits again where nobody knows whether the provider got it: once a task would be asked for
    /// [first](Self::with_first), and until the answer is known.
    ///
    /// The submitter must say that a [conflict is idempotent](Submitter::conflict_is_idempotent), and
    /// be of the same endpoint: `build` refuses any other.
    pub fn resubmitting(mut self, submitter: Submitter) -> Self {
        self.resubmitting = Some(submitter);
        self
    }

    pub(super) fn check(&self, endpoint: &str) -> Result<(), BuildError> {
        let wrong = |setting, problem: &str| Err(BuildError::new(setting, problem));
        if self.first.is_zero() {
            return wrong(
                "Polling::with_first",
                "no task is done when it was just submitted; give it at least a second",
            );
        }
        if self.every.is_zero() {
            return wrong(
                "Polling::with_every",
                "without a pause one task would use up the provider's rate limit; give it seconds",
            );
        }
        if self.deadline < self.first {
            return wrong(
                "Polling::with_deadline",
                "tasks would be given up before they are asked for; raise it, or lower `with_first`",
            );
        }
        if self.deadline > Duration::from_secs(365 * 24 * 60 * 60) {
            return wrong("Polling::with_deadline", "give at most 365 days");
        }
        if !(1..=1_000_000).contains(&self.concurrency) {
            return wrong(
                "Polling::with_concurrency",
                "give at least 1 task at a time, and at most 1000000",
            );
        }
        match &self.resubmitting {
            Some(submitter) if !submitter.is_conflict_idempotent() => wrong(
                "Polling::resubmitting",
                "submitting again may pay twice; if the provider answers 409 with the task that is \
                 there, say so by `.conflict_is_idempotent()` on the submitter",
            ),
            Some(submitter) if submitter.endpoint() != endpoint => Err(BuildError::new(
                "Polling::resubmitting",
                format!(
                    "the submitter is of the endpoint {:?}, and this is {endpoint:?}",
                    submitter.endpoint()
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl From<Client> for Polling {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}
