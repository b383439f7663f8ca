//! From a submission to its event, whatever happens in between.
//!
//! All of it is records in the endpoint's queue of tracked tasks, and a worker of that queue. What the
//! records say stands in `records`; who writes them: `submit` and `tracker`, the front (hints), and the `step`
//! before the handler. The poller reads them, asks the provider, and puts the answer among the events.

mod builder;
mod doubts;
mod error;
mod hint;
mod intent;
mod kept;
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
