//! Why a lease cannot be settled inside a transaction of the user's.

use std::{error::Error as StdError, fmt};

use crate::BoxError;

/// Why a lease cannot be completed. Roll the transaction back.
#[derive(Debug)]
pub struct CompleteError {
    kind: CompleteErrorKind,
    source: Option<BoxError>,
}

/// Why a lease cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompleteErrorKind {
    /// The lease is not ours any more: it expired and somebody else has the record, or it is settled.
    ///
    /// Also what a second completion is told of an event that was replaced by a better one while it was
    /// handled: only the completion of a record that is done is remembered. The first one counts.
    Lost,
    /// This very lease was completed before, in a transaction that was committed: what is repeated
    /// now is done already. A lease that was settled without one is lost.
    Completed,
    /// The database failed, or the tables are not in it.
    Database,
}

impl CompleteError {
    /// Why.
    pub fn kind(&self) -> CompleteErrorKind {
        self.kind
    }
}

impl fmt::Display for CompleteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            CompleteErrorKind::Lost => "the lease was lost",
            CompleteErrorKind::Completed => "the lease was completed before",
            CompleteErrorKind::Database => "the lease cannot be completed in this database",
        })
    }
}

impl StdError for CompleteError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl CompleteError {
    pub(super) fn new(kind: CompleteErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn database(source: impl Into<BoxError>) -> Self {
        Self {
            kind: CompleteErrorKind::Database,
            source: Some(source.into()),
        }
    }
}
