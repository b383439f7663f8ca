//! Where a room on top joins an endpoint: its tracked tasks, and what it does before the handler.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::Callbacks;
use crate::{
    Clock,
    error::BuildError,
    store::AnyStore,
    worker::{AnyHandler, Step},
};

/// What a room on top adds to an endpoint. It knows the records of the queue; the builder knows only
/// where everything goes.
pub(crate) struct Tracking {
    /// The method that asked for it, for errors.
    pub(crate) setting: &'static str,
    /// Another one that asked for it too.
    pub(crate) other: Option<&'static str>,
    /// Checks its own settings, at the endpoint of this name.
    pub(crate) check: Check,
    /// The longest that a tracked task stays open.
    pub(crate) deadline: Duration,
    /// Tracked tasks that are looked at at once.
    pub(crate) concurrency: usize,
    /// Callbacks become hints, whose keys begin so.
    pub(crate) hint: Option<&'static str>,
    pub(crate) start: Box<dyn FnOnce(Ground) -> Poller + Send + Sync>,
}

/// Checks settings at the endpoint of this name.
pub(crate) type Check = Box<dyn Fn(&str) -> Result<(), BuildError> + Send + Sync>;

/// What an endpoint gives to a room on top.
pub(crate) struct Ground {
    pub(crate) endpoint: Arc<str>,
    pub(crate) store: AnyStore,
    pub(crate) clock: Clock,
    /// To be notified after an insert into the endpoint's events.
    pub(crate) wake: Arc<Notify>,
}

/// What a room on top gives to an endpoint.
pub(crate) struct Poller {
    /// Handles the tracked queue.
    pub(crate) records: AnyHandler,
    /// Comes before the handler of events.
    pub(crate) step: Arc<dyn Step>,
}

impl<E, S, H> Callbacks<E, S, H> {
    pub(crate) fn tracking(mut self, mut tracking: Tracking) -> Self {
        if let Some(before) = self.plan.tracking.take() {
            let other = (before.setting != tracking.setting).then_some(before.setting);
            tracking.other = other.or(before.other);
        }
        self.plan.tracking = Some(tracking);
        self
    }
}

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").finish_non_exhaustive()
    }
}
