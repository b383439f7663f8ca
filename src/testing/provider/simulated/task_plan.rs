//! What one task becomes, by choice.

use std::{iter::repeat_n, time::Duration};

use http::StatusCode;

use super::TaskFault;
use crate::testing::provider::Fault;

/// What one task becomes and what goes wrong with it, by choice. What is not chosen is left to the
/// seed.
///
/// ```
/// use std::time::Duration;
/// use tower_callback::testing::provider::{Fault, TaskFault, TaskPlan};
///
/// let ready = TaskPlan::new().with_callback(Fault::Duplicate);
/// let failed = TaskPlan::failing(451, "no audio").after(Duration::from_secs(40));
/// let quiet = TaskPlan::new().with(TaskFault::Silent).refused(455, 2);
/// # let _ = (ready, failed, quiet);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskPlan {
    pub(super) failure: Option<(i64, String)>,
    pub(super) rendering: Option<Duration>,
    pub(super) video_bytes: Option<u64>,
    pub(super) refusals: Vec<i64>,
    pub(super) answering_after: Option<Duration>,
    pub(super) details_refusals: Vec<i64>,
    pub(super) forgotten_after: Option<Duration>,
    pub(super) expiry: Option<(Duration, StatusCode)>,
    pub(super) faults: Vec<TaskFault>,
    pub(super) callback_faults: Vec<Fault>,
}

impl TaskPlan {
    /// A task that succeeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// A task that fails with this code and these words. A code that means success becomes 500.
    pub fn failing(code: i64, msg: impl Into<String>) -> Self {
        Self {
            failure: Some((code, msg.into())),
            ..Self::default()
        }
    }

    /// Ends so long after it was submitted.
    #[must_use]
    pub fn after(mut self, rendering: Duration) -> Self {
        self.rendering = Some(rendering);
        self
    }

    /// The video has so many bytes, at least 48.
    #[must_use]
    pub fn video_bytes(mut self, bytes: u64) -> Self {
        self.video_bytes = Some(bytes);
        self
    }

    /// `generate` refuses so many times with this code and does nothing, before it submits the task.
    /// Several codes come in the order in which they were given.
    #[must_use]
    pub fn refused(mut self, code: i64, times: usize) -> Self {
        self.refusals.extend(repeat_n(code, times));
        self
    }

    /// `generate` submits the task, and answers so much later.
    #[must_use]
    pub fn answering_after(mut self, late: Duration) -> Self {
        self.answering_after = Some(late);
        self
    }

    /// `details` refuses so many times with this code, before it tells of the task.
    #[must_use]
    pub fn details_refused(mut self, code: i64, times: usize) -> Self {
        self.details_refusals.extend(repeat_n(code, times));
        self
    }

    /// `details` does not know the task any more so long after it was submitted.
    #[must_use]
    pub fn forgotten_after(mut self, after: Duration) -> Self {
        self.forgotten_after = Some(after);
        self
    }

    /// Each URL of the video is good for so long, and answered with this status after that.
    #[must_use]
    pub fn expiring(mut self, after: Duration, status: StatusCode) -> Self {
        self.expiry = Some((after, status));
        self
    }

    /// Surely suffers this fault, beside those that the seed brings.
    #[must_use]
    pub fn with(mut self, fault: TaskFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Its callbacks surely suffer this fault, beside those that the seed brings. Given twice, it
    /// strikes twice.
    #[must_use]
    pub fn with_callback(mut self, fault: Fault) -> Self {
        self.callback_faults.push(fault);
        self
    }
}
