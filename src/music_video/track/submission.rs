//! A submission, whose event can be waited for.

use std::{fmt, sync::Arc, time::Duration};

use super::{WaitError, WaitErrorKind, ledger::Ledger, records::ENDED};
use crate::{
    event::{Callback, Event, Meta},
    music_video::MusicVideo,
    panic::catch_future,
    store::{Found, State, Store, StoreErrorKind},
    worker::{part_of, random},
};

/// How soon the store is asked again. Twice as long each time.
const SHORTEST: Duration = Duration::from_millis(100);
/// What a person hardly notices after minutes of rendering.
const LONGEST: Duration = Duration::from_secs(3);
/// How long the store may fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// A task that was submitted, or may have been: made by [`Submitter::submit`](super::Submitter::submit), and
/// found again by [`Submitter::find`](super::Submitter::find).
#[derive(Clone)]
pub struct Submission {
    ledger: Arc<Ledger>,
    correlation: String,
    task_id: Option<String>,
}

impl Submission {
    pub(super) fn new(ledger: &Arc<Ledger>, correlation: &str, task_id: Option<&str>) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            correlation: correlation.to_owned(),
            task_id: task_id.map(str::to_owned),
        }
    }

    /// The correlation id that it was submitted under.
    pub fn correlation(&self) -> &str {
        &self.correlation
    }

    /// The provider's id of the task, as far as it was known when this was made: not while the
    /// submission is under way elsewhere or has an unknown outcome, nor once the event is there.
    pub fn task_id(&self) -> Option<&str> {
        self.task_id.as_deref()
    }

    /// Waits until the task has ended, however often the process was restarted in between.
    ///
    /// It resolves when the event is in the store and noted with the submission, whether or not
    /// the handler is done with it. If a success follows a failure, it is the failure for who waited
    /// then, and the success for who waits later.
    ///
    /// It looks into the store: at once, then less and less often, every 3 seconds at last, and
    /// when the store says that something has changed, though not more often than 10 times a second. A worker has to run somewhere, built with
    /// [`poll_with`](crate::Callbacks::poll_with). The future can be dropped at any time.
    ///
    /// # Errors
    ///
    /// [`WaitError::kind`] says why no event can be had.
    pub async fn wait(&self) -> Result<MusicVideo, WaitError> {
        let clock = &self.ledger.clock;
        let mut pause = SHORTEST;
        let mut failing = None;
        loop {
            // Begun before the store is asked, so that nothing is missed in between.
            let changed = catch_future(self.ledger.store.changed(&self.ledger.tracked));
            match self.ledger.find_submission(&self.correlation).await {
                Ok(Some(found)) => {
                    if let Some(ended) = self.ended(found) {
                        return ended;
                    }
                    failing = None;
                }
                Ok(None) => return Err(WaitError::new(WaitErrorKind::Gone)),
                Err(error) => {
                    let since = failing.get_or_insert_with(|| clock.stopwatch());
                    if error.kind() == StoreErrorKind::Rejected || clock.elapsed(since) > PATIENCE {
                        return Err(WaitError::because(WaitErrorKind::Store, error));
                    }
                }
            }
            let jittered = pause / 2 + part_of(pause / 2, random());
            let told = async {
                // Changes may be many, and those who wait may be.
                let (changed, ()) = tokio::join!(changed, clock.sleep(SHORTEST));
                if changed.is_err() || failing.is_some() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = told => {}
                () = clock.sleep(jittered) => pause = (pause * 2).min(LONGEST),
            }
        }
    }

    /// How it ended, if it did.
    fn ended(&self, found: Found) -> Option<Result<MusicVideo, WaitError>> {
        if found.rank < ENDED {
            return match found.state {
                State::Dead => Some(Err(WaitError::dead(found.error))),
                State::Done => Some(Err(WaitError::new(WaitErrorKind::NotKept))),
                State::Pending | State::Leased => None,
            };
        }
        let (Some(body), Some(meta)) = (found.body, found.meta) else {
            return Some(Err(WaitError::new(WaitErrorKind::NotKept)));
        };
        Some(self.read(&body, &meta))
    }

    fn read(&self, body: &[u8], meta: &[u8]) -> Result<MusicVideo, WaitError> {
        let unreadable = |error| WaitError::because(WaitErrorKind::NotKept, error);
        let meta = Meta::decode(meta).map_err(|error| unreadable(error.into()))?;
        let event = MusicVideo::parse(&Callback::new(body, meta.arrived(), &meta.headers()))
            .map_err(|error| unreadable(crate::BoxError::from(error)))?;
        match &self.task_id {
            Some(task_id) if *task_id != event.task_id => {
                Err(WaitError::new(WaitErrorKind::AnotherTask))
            }
            _ => Ok(event),
        }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("endpoint", &self.ledger.endpoint())
            .field("correlation", &self.correlation)
            .field("task_id", &self.task_id)
            .finish_non_exhaustive()
    }
}
