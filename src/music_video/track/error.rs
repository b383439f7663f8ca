//! Why there is no submission to wait for.

use std::{error::Error as StdError, fmt};

use crate::{BoxError, music_video::ClientError, store::StoreError, verify::MintError};

/// Why [`Submitter::submit`](super::Submitter::submit) has no submission to answer with.
#[derive(Debug)]
pub struct SubmitError {
    kind: SubmitErrorKind,
    retryable: bool,
    task_id: Option<String>,
    source: Option<BoxError>,
}

/// What is known of a submission that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitErrorKind {
    /// Nothing was submitted: the correlation id cannot be one, or no callback URL could be minted.
    Invalid,
    /// Nothing was submitted: the store could not note what was about to be.
    Store,
    /// Nothing was submitted: another request was, under the same correlation id.
    AnotherRequest,
    /// Nothing was submitted: an earlier submission under this id was refused, and no
    /// worker has freed the id yet. Is there one, built with
    /// [`poll_with`](crate::Callbacks::poll_with)?
    Occupied,
    /// Nothing was submitted: the provider refused it, or could not be reached. The id becomes free.
    Refused,
    /// It may have been submitted: no answer came that can be read. Its callback can still resolve it, so
    /// [find](super::Submitter::find) it and wait.
    Unknown,
    /// It was submitted, and that could not be noted: [`SubmitError::task_id`] is the task. Its callback
    /// can still resolve it. [Track](super::Submitter::track) it by the same submitter, and it is as if it had been
    /// noted; by another one, its event is handled, and [`wait`](super::Submission::wait) may fail all the same.
    Unrecorded,
}

impl SubmitError {
    fn new(kind: SubmitErrorKind, retryable: bool, source: Option<BoxError>) -> Self {
        Self {
            kind,
            retryable,
            task_id: None,
            source,
        }
    }

    pub(super) fn unminted(error: MintError) -> Self {
        Self::new(SubmitErrorKind::Invalid, false, Some(error.into()))
    }

    pub(super) fn store(error: StoreError) -> Self {
        Self::new(SubmitErrorKind::Store, true, Some(error.into()))
    }

    pub(super) fn another() -> Self {
        Self::new(SubmitErrorKind::AnotherRequest, false, None)
    }

    pub(super) fn occupied() -> Self {
        Self::new(SubmitErrorKind::Occupied, true, None)
    }

    pub(super) fn refused(error: ClientError) -> Self {
        let retryable = error.is_retryable();
        Self::new(SubmitErrorKind::Refused, retryable, Some(error.into()))
    }

    pub(super) fn unknown(error: impl Into<BoxError>) -> Self {
        Self::new(SubmitErrorKind::Unknown, false, Some(error.into()))
    }

    pub(super) fn unrecorded(task_id: &str, error: StoreError) -> Self {
        Self {
            task_id: Some(task_id.to_owned()),
            ..Self::new(SubmitErrorKind::Unrecorded, false, Some(error.into()))
        }
    }

    /// What is known of the submission.
    pub fn kind(&self) -> SubmitErrorKind {
        self.kind
    }

    /// Whether the same call may go well later. Where it may have been submitted, it would only find what is
    /// there, so the answer is no.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The task that was submitted, where that could not be noted: note it elsewhere, or
    /// [track](super::Submitter::track) it.
    pub fn task_id(&self) -> Option<&str> {
        self.task_id.as_deref()
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SubmitErrorKind::Invalid => "not submitted: it has no callback URL",
            SubmitErrorKind::Store => "not submitted: the store could not note it",
            SubmitErrorKind::AnotherRequest => {
                "not submitted: the correlation id is that of another request"
            }
            SubmitErrorKind::Occupied => {
                "not submitted: the correlation id is not free again after a refusal"
            }
            SubmitErrorKind::Refused => "not submitted",
            SubmitErrorKind::Unknown => "whether it was submitted is not known",
            SubmitErrorKind::Unrecorded => "it was submitted, and that could not be noted",
        })
    }
}

impl StdError for SubmitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
