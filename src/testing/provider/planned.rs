//! One event that the provider will call about.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::Fault;
use crate::music_video::MusicVideo;

/// One event that the provider will call about: what, when, and what goes wrong with it.
///
/// ```
/// use std::time::Duration;
/// use tower_callback::{MusicVideo, testing::provider::{Fault, Planned}};
///
/// let planned = Planned::from(MusicVideo::failed("task-1", 451, "no audio"))
///     .after(Duration::from_secs(30))
///     .with(Fault::Concurrent);
/// # let _ = planned;
/// ```
#[derive(Clone)]
pub struct Planned {
    pub(super) task_id: Arc<str>,
    pub(super) code: i64,
    pub(super) body: Bytes,
    pub(super) after: Duration,
    pub(super) faults: Vec<Fault>,
}

impl Planned {
    /// A callback with any body. The id and the code are for the report alone.
    pub fn raw(task_id: impl Into<Arc<str>>, code: i64, body: impl Into<Bytes>) -> Self {
        Self {
            task_id: task_id.into(),
            code,
            body: body.into(),
            after: Duration::ZERO,
            faults: Vec::new(),
        }
    }

    /// Comes so long after the provider started, on its clock.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Surely suffers this fault, beside those that the seed brings. Given twice, it strikes twice.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

impl From<MusicVideo> for Planned {
    fn from(event: MusicVideo) -> Self {
        Self::raw(event.task_id.as_str(), event.code, event.encode())
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("after", &self.after)
            .field("faults", &self.faults)
            .finish()
    }
}
