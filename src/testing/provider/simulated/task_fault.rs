//! What goes wrong with a task, and how often.

/// What can go wrong with a submitted task. What goes wrong with the requests that call back is a
/// [`Fault`](crate::testing::provider::Fault).
///
/// None of them lasts: whoever goes on asking gets the truth from `details` in the end, and the video
/// if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskFault {
    /// The render fails with 400, 451 or 500, and so does the task.
    Fails,
    /// A failure is called back, and up to five minutes later the success that it becomes. `details`
    /// says `PENDING` until then. Nothing to a task that fails anyway.
    FailsFirst,
    /// No callback is ever sent. `details` tells how the task ended.
    Silent,
    /// No callback leaves the provider, which notices: `details` says `CALLBACK_EXCEPTION`, with the
    /// video. Of a task that failed it says that it failed.
    CallbackException,
    /// `generate` refuses, one to three times, with 405, 429, 430, 455 or 500, and does nothing.
    Refused,
    /// `generate` submits the task, and answers one to two minutes later.
    AnswersLate,
    /// `generate` submits the task, and closes the connection instead of answering.
    AnswerCut,
    /// `generate` submits the task, and answers 500.
    AnswersError,
    /// The first one to three answers of `details` take from 5 s to a minute.
    DetailsSlow,
    /// `details` answers 500, one to three times.
    DetailsFail,
    /// `details` says `PENDING` for one to five minutes after the task ended.
    DetailsBehind,
    /// `details` does not know the task for up to a minute after it was submitted.
    DetailsUnseen,
    /// The first one to three downloads end somewhere in the middle.
    VideoCut,
    /// The first download takes from 5 s to a minute, in drips.
    VideoSlow,
    /// The first download announces up to 1000 bytes more than there are.
    VideoTooLong,
    /// A URL is good for one to ten minutes, and answered with 403, 404 or 410 after that. `details`
    /// gives a fresh one then.
    UrlExpires,
}

impl TaskFault {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Fails,
        Self::FailsFirst,
        Self::Silent,
        Self::CallbackException,
        Self::Refused,
        Self::AnswersLate,
        Self::AnswerCut,
        Self::AnswersError,
        Self::DetailsSlow,
        Self::DetailsFail,
        Self::DetailsBehind,
        Self::DetailsUnseen,
        Self::VideoCut,
        Self::VideoSlow,
        Self::VideoTooLong,
        Self::UrlExpires,
    ];
}

/// How often each [`TaskFault`] strikes: a share of all tasks, from 0 to 1.
///
/// ```
/// use tower_callback::testing::provider::{TaskFault, TaskFaults};
///
/// let faults = TaskFaults::none().with(TaskFault::Fails, 0.3).with(TaskFault::Silent, 0.1);
/// # let _ = faults;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFaults {
    shares: [f64; TaskFault::ALL.len()],
}

impl TaskFaults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::all(0.0)
    }

    /// Each fault strikes this share of all tasks.
    pub fn all(share: f64) -> Self {
        Self {
            shares: [share; TaskFault::ALL.len()],
        }
    }

    /// Changes the share of one fault. What the others do under a seed stays the same.
    #[must_use]
    pub fn with(mut self, fault: TaskFault, share: f64) -> Self {
        self.shares[fault as usize] = share;
        self
    }

    /// The share of a fault.
    pub fn share(&self, fault: TaskFault) -> f64 {
        self.shares[fault as usize]
    }
}

impl Default for TaskFaults {
    fn default() -> Self {
        Self::none()
    }
}
