//! From a submission to its event, whatever happens in between: crash-safe submission, polling where
//! no callback comes, and confirmation of callbacks that prove nothing.
//!
//! ```no_run
//! # use tower_callback::{BoxError, Callbacks, MusicVideo, SignedUrl, SqliteStore};
//! # use tower_callback::music_video::{Client, GenerateRequest};
//! # use tower_callback::music_video::track::Submitter;
//! # async fn example(store: SqliteStore, client: Client, signed: SignedUrl) -> Result<(), BoxError> {
//! let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", signed.clone())
//!     .store(store.clone())
//!     .handle(|delivery| async move { Ok(println!("{:?}", delivery.event.outcome)) })
//!     .poll_with(client.clone())
//!     .build()?;
//! # let _ = (callback, worker);
//!
//! let submitter = Submitter::new("music-video", store, client, signed)?;
//! let request = GenerateRequest::new("taskId_774b9aa0422f", "e231cadc7dc");
//! let submission = submitter.submit(&request, "order-1742").await?;
//! let event = submission.wait().await?;
//! # let _ = event;
//! # Ok(()) }
//! ```
//!
//! # What a crash leaves
//!
//! [`Submitter::submit`] records first what it is about to do, then submits, then records the task
//! that came of it:
//!
//! | the process ends | what is there | what becomes of it |
//! | --- | --- | --- |
//! | before the intent is recorded | nothing | nothing was submitted |
//! | before the provider's answer is recorded | an intent | its callback carries the correlation id, and resolves it. If none comes, it is a dead letter at the [deadline](Polling::with_deadline), for a person to look at |
//! | later | a tracked task | its callback or a poll resolves it |
//!
//! So one correlation id never pays twice. Where the provider answers a second submission with 409 and the
//! task that is there already, nothing is paid twice either: say so by
//! [`Submitter::conflict_is_idempotent`], and let the poller submit what is unknown again by
//! [`Polling::resubmitting`].
//!
//! # Polling and confirming
//!
//! With [`poll_with`](crate::Callbacks::poll_with), callbacks are events as ever, and the worker asks the
//! provider for those that do not come. With [`confirm_with`](crate::Callbacks::confirm_with), a
//! callback is a hint: the worker asks, and what the provider answers is the event. A forged callback
//! costs a request then, and nothing else. For providers that sign nothing, that is the strongest
//! proof there is.

mod builder;
mod error;
mod hint;
mod intent;
mod ledger;
mod poller;
mod polling;
mod records;
mod step;
mod streak;
mod submission;
mod submit;
mod submitter;
mod tracker;
mod wait_error;

pub use self::{
    error::{SubmitError, SubmitErrorKind},
    polling::Polling,
    submission::Submission,
    submitter::Submitter,
    tracker::Tracker,
    wait_error::{WaitError, WaitErrorKind},
};
