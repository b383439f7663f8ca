//! The builder's methods for tracking.

use std::sync::Arc;

use super::{Polling, ledger::Ledger, poller::Poll, records, step::Note, streak::Streak};
use crate::{
    Callbacks,
    callbacks::{Ground, Poller, Tracking},
    music_video::MusicVideo,
    worker::AnyHandler,
};

/// Asking the provider, with the feature `client`.
impl<S, H> Callbacks<MusicVideo, S, H> {
    /// Asks the provider for tracked tasks whose callback does not come. Takes a
    /// [`Client`](crate::music_video::Client), or a [`Polling`] with times of your own.
    ///
    /// The worker serves the tracked tasks too then: those of a
    /// [`Submitter`](super::Submitter) and of a [`Tracker`](super::Tracker) of the same endpoint and store.
    /// What the provider answers becomes the very event that the callback would have been, and
    /// whichever comes first wins. [`Delivery::source`](crate::Delivery::source) says which it was.
    ///
    /// Before the handler gets an event that has a [correlation id](crate::Delivery::correlation), the
    /// event is noted with the submission, for [`wait`](super::Submission::wait). An attempt at which
    /// that fails is a failed one.
    ///
    /// When events keep coming by polls alone, that is a warning in the traces: a broken callback URL
    /// must not hide. `build` refuses a [`Retention`](crate::store::Retention) that forgets keys before
    /// the deadline.
    pub fn poll_with(self, polling: impl Into<Polling>) -> Self {
        self.track(polling.into(), "poll_with", None)
    }

    /// Takes callbacks as hints alone: the provider is asked, and its answer is the event. It also
    /// [polls](Self::poll_with), so call one of the two: `build` refuses both. A front that is built alone
    /// needs it too.
    ///
    /// [`Delivery::source`](crate::Delivery::source) is a poll for every event then, and its correlation id that of the hint.
    ///
    /// A hint that the provider does not bear out is dropped, and leaves nothing behind.
    /// While the provider cannot be asked, hints wait, up to the [deadline](Polling::with_deadline);
    /// they are dead letters then, and asked for again when they are requeued.
    ///
    /// # Security
    ///
    /// The content of a callback is never used, so a forged one can neither be handled nor keep a
    /// genuine one from it. It costs a request to the provider: keep a proof in front all the same.
    ///
    /// That holds for what is [released](crate::store::inspect::release) from quarantine, too, if the callback
    /// came while callbacks were hints. Its correlation id is told to the handler as long as the task
    /// that was submitted under it is not known to be another one.
    pub fn confirm_with(self, polling: impl Into<Polling>) -> Self {
        self.track(polling.into(), "confirm_with", Some(records::HINT))
    }

    fn track(self, polling: Polling, setting: &'static str, hint: Option<&'static str>) -> Self {
        let checked = polling.clone();
        self.tracking(Tracking {
            setting,
            other: None,
            deadline: polling.deadline,
            concurrency: polling.concurrency,
            hint,
            check: Box::new(move |endpoint| checked.check(endpoint)),
            start: Box::new(move |ground| start(ground, polling)),
        })
    }
}

fn start(ground: Ground, polling: Polling) -> Poller {
    let Ground {
        endpoint,
        store,
        clock,
        wake,
    } = ground;
    let ledger = Arc::new(Ledger::new(endpoint, store, clock));
    let streak = Arc::new(Streak::default());
    Poller {
        step: Arc::new(Note::new(Arc::clone(&ledger), Arc::clone(&streak))),
        records: AnyHandler::from_records(Poll::new(ledger, polling, wake, streak)),
    }
}
