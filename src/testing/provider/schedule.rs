//! When the provider tries again.

use std::time::Duration;

/// How long the provider waits for an answer, and when it tries again.
///
/// The default is what the provider documents: 15 s for an answer, and retries 1, 5 and 15 minutes
/// after the attempt before has failed. Then it gives up for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    timeout: Duration,
    retries: Vec<Duration>,
}

impl Schedule {
    /// A schedule of one's own: the time for an answer, and how long after each failed attempt the
    /// next one comes. No retries at all is a schedule too.
    pub fn new(timeout: Duration, retries: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            timeout,
            retries: retries.into_iter().collect(),
        }
    }

    /// How long an attempt waits for an answer, connecting included.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long after each failed attempt the next one comes.
    pub fn retries(&self) -> &[Duration] {
        &self.retries
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new(
            Duration::from_secs(15),
            [1, 5, 15].map(|minutes| Duration::from_secs(minutes * 60)),
        )
    }
}
