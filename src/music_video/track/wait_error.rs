//! Why there is no event to wait for.

use std::{error::Error as StdError, fmt};

use crate::BoxError;

/// Why [`Submission::wait`](super::Submission::wait) has no event to answer with.
#[derive(Debug)]
pub struct WaitError {
    kind: WaitErrorKind,
    reason: Option<String>,
    source: Option<BoxError>,
}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitErrorKind {
    /// The submission was given up: [`WaitError::reason`] says why. An event that comes later is
    /// handled all the same.
    Dead,
    /// There is no such submission: the provider refused it, or the store has forgotten it.
    Gone,
    /// The event came, and the store keeps its content no longer.
    NotKept,
    /// The event that came is about another task than the one that was submitted: somebody may have captured the
    /// callback URL.
    AnotherTask,
    /// The store failed, again and again. Wait again later.
    Store,
}

impl WaitError {
    pub(super) fn new(kind: WaitErrorKind) -> Self {
        Self {
            kind,
            reason: None,
            source: None,
        }
    }

    pub(super) fn dead(reason: Option<String>) -> Self {
        Self {
            reason,
            ..Self::new(WaitErrorKind::Dead)
        }
    }

    pub(super) fn because(kind: WaitErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(kind)
        }
    }

    /// Why there is no event.
    pub fn kind(&self) -> WaitErrorKind {
        self.kind
    }

    /// Why the submission was given up, while the store keeps that.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            WaitErrorKind::Dead => "the submission was given up",
            WaitErrorKind::Gone => "there is no such submission",
            WaitErrorKind::NotKept => "the store keeps the event no longer",
            WaitErrorKind::AnotherTask => "the event that came is about another task",
            WaitErrorKind::Store => "the store could not be asked for the event",
        })?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl StdError for WaitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
