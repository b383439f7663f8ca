//! An endpoint without its store and its handler: what is checked and put together when it is built.

use std::sync::Arc;

use tokio::sync::Notify;

use super::tracking::{Ground, Poller, Tracking};
use crate::{
    Clock, count,
    error::BuildError,
    event::Event,
    front::{CallbackService, Endpoint, FrontSettings, Sink, read_key},
    liveness::Liveness,
    store::{AnyInbox, AnyStore, Committer, Durability, Inbox, Queue},
    verify::{Setup, Verify},
    worker::{AnyHandler, Worker, WorkerSettings},
};

pub(super) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) proof: Box<dyn Verify>,
    pub(super) clock: Clock,
    pub(super) front: FrontSettings,
    pub(super) worker: WorkerSettings,
    pub(super) tracking: Option<Tracking>,
}

/// How the parts of one process wake each other.
#[derive(Clone, Default)]
pub(super) struct Wakes {
    pub(super) events: Arc<Notify>,
    pub(super) tracked: Arc<Notify>,
}

impl Plan {
    pub(super) fn validate<E: Event>(&self) -> Result<(), BuildError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(BuildError::new(
                "Callbacks::new",
                format!(
                    "the endpoint's name {:?} is not 1 to 64 letters, digits, `-`, `_` and `.`: \
                     write it as \"music-video\"",
                    self.name
                ),
            ));
        }
        for (index, header) in E::HEADERS.iter().enumerate() {
            let before = &E::HEADERS[..index];
            if before
                .iter()
                .any(|other| other.eq_ignore_ascii_case(header))
            {
                return Err(BuildError::new(
                    "Event::HEADERS",
                    format!("{header:?} is listed twice: list it once, in lower case"),
                ));
            }
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                return Err(BuildError::new(
                    "Event::HEADERS",
                    format!("{header:?} is no header's name"),
                ));
            }
        }
        self.front.validate()?;
        self.worker.validate()?;
        self.proof.check(&Setup::leaf(&self.name))?;
        let keys = self.worker.retention.keys;
        if let Some(tracking) = &self.tracking {
            (tracking.check)(&self.name)?;
            if let Some(other) = tracking.other {
                return Err(BuildError::new(
                    tracking.setting,
                    format!(
                        "`{other}` was called too: call `confirm_with` alone if callbacks are to be \
                         hints, it polls as well, and else `poll_with`"
                    ),
                ));
            }
            if keys < tracking.deadline {
                return Err(BuildError::new(
                    "retention",
                    format!(
                        "keys are forgotten after {keys:?}, and a task is tracked for {:?}: its event \
                         would be new again. Keep keys for at least that long",
                        tracking.deadline
                    ),
                ));
            }
        }
        match self.proof.horizon() {
            Some(horizon) if keys < horizon => Err(BuildError::new(
                "retention",
                format!(
                    "keys are forgotten after {keys:?}, and the proof accepts a captured request for \
                     {horizon:?}: keep keys for at least that long"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether store and clock go together, and what the store means for the promise.
    pub(super) fn check_store(&self, inbox: &impl Inbox) -> Result<(), BuildError> {
        let together = match (self.clock.as_manual(), inbox.manual_clock()) {
            (None, None) => true,
            (Some(ours), Some(stores)) => ours.is_same(stores),
            _ => false,
        };
        if !together {
            return Err(BuildError::new(
                "clock",
                "a manual clock goes only with the store that runs on it: give one and the same to \
                 `.clock(hands.clock())` and `MemoryStore::with_clock(&hands)`",
            ));
        }
        if inbox.durability() == Durability::Volatile {
            tracing::warn!(
                endpoint = %self.name,
                "the store is volatile: what it acknowledges is lost when the process ends"
            );
        }
        Ok(())
    }

    pub(super) fn store_sink<E: Event>(&self, inbox: AnyInbox, wakes: &Wakes) -> Sink {
        let hint = self.tracking.as_ref().and_then(|tracking| tracking.hint);
        let woken = match hint {
            Some(_) => &wakes.tracked,
            None => &wakes.events,
        };
        Sink::Store {
            read: read_key::<E>,
            committer: Committer::new(Arc::clone(&self.name), inbox, self.clock.clone()),
            wake: Arc::clone(woken),
            hint,
        }
    }

    /// The worker of the endpoint's events, and of its tracked tasks if it has any.
    pub(super) fn worker(
        &mut self,
        store: AnyStore,
        handler: AnyHandler,
        wakes: Wakes,
        liveness: Liveness,
    ) -> Worker {
        count::describe();
        let (handler, tracked) = match self.tracking.take() {
            None => (handler, None),
            Some(tracking) => {
                let Poller { records, step } = (tracking.start)(Ground {
                    endpoint: Arc::clone(&self.name),
                    store: store.clone(),
                    clock: self.clock.clone(),
                    wake: Arc::clone(&wakes.events),
                });
                let settings = WorkerSettings {
                    concurrency: tracking.concurrency,
                    handler_timeout: None,
                    // It runs none of the user's code: what ends the process is something else.
                    suspect_limit: u32::MAX,
                    ..self.worker
                };
                (handler.after(step), Some((records, settings)))
            }
        };
        let tracked = tracked.map(|(records, settings)| {
            Worker::new(
                Queue::tracked(Arc::clone(&self.name)),
                store.clone(),
                self.clock.clone(),
                settings,
                records,
                wakes.tracked,
                liveness.clone(),
            )
        });
        let worker = Worker::new(
            Queue::events(Arc::clone(&self.name)),
            store,
            self.clock.clone(),
            self.worker,
            handler,
            wakes.events,
            liveness,
        );
        match tracked {
            None => worker,
            Some(tracked) => worker.with(tracked),
        }
    }

    pub(super) fn into_service<E: Event>(
        self,
        sink: Sink,
        liveness: Option<Liveness>,
    ) -> CallbackService {
        count::describe();
        CallbackService::new(Endpoint::new(
            self.name,
            E::HEADERS,
            self.proof,
            sink,
            self.front,
            self.clock,
            liveness,
        ))
    }
}
