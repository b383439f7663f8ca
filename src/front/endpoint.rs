//! One endpoint's front: what all its requests share.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::{
    FrontSettings, NotReady, Sink,
    log::{LogLimit, LogLimits},
};
use crate::{Clock, liveness::Liveness, store::Queue, verify::Verify};

pub(crate) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) events: Queue,
    pub(super) tracked: Queue,
    pub(super) quarantine: Queue,
    /// The event's headers, and those that say how to read a body that nobody could read.
    pub(super) headers: &'static [&'static str],
    pub(super) proof: Box<dyn Verify>,
    pub(super) sink: Sink,
    pub(super) settings: FrontSettings,
    pub(super) retry_after: HeaderValue,
    pub(super) clock: Clock,
    /// Places for the bodies of callers who have not proved themselves yet.
    pub(super) unproven_bodies: Semaphore,
    pub(super) unproven_log: LogLimit,
    pub(super) panic_log: LogLimit,
    pub(super) retiring_log: LogLimits,
    /// Of the worker in this process, if there is one.
    liveness: Option<Liveness>,
}

impl Endpoint {
    pub(crate) fn new(
        name: Arc<str>,
        headers: &'static [&'static str],
        proof: Box<dyn Verify>,
        sink: Sink,
        settings: FrontSettings,
        clock: Clock,
        liveness: Option<Liveness>,
    ) -> Self {
        Self {
            events: Queue::events(Arc::clone(&name)),
            tracked: Queue::tracked(Arc::clone(&name)),
            quarantine: Queue::quarantine(Arc::clone(&name)),
            headers,
            proof,
            sink,
            retry_after: HeaderValue::from(settings.retry_after.as_secs().max(1)),
            unproven_bodies: Semaphore::new(settings.unproven_bodies),
            unproven_log: LogLimit::default(),
            panic_log: LogLimit::default(),
            retiring_log: LogLimits::default(),
            settings,
            clock,
            liveness,
            name,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn proof(&self) -> &dyn Verify {
        &*self.proof
    }

    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        match self.liveness.as_ref().and_then(Liveness::problem) {
            Some(reason) => Err(NotReady {
                endpoint: Arc::clone(&self.name),
                reason,
            }),
            None => Ok(()),
        }
    }
}
