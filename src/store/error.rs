//! What stores fail with.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::BoxError;

/// Why a store could not do what it was asked for.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: BoxError,
}

/// Whether it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It is: a lost connection, a locked file, a full disk.
    Unavailable,
    /// It is not: what was asked for can never be done.
    Rejected,
}

impl StoreError {
    /// It is worth trying again.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self {
            kind: StoreErrorKind::Unavailable,
            source: source.into(),
        }
    }

    /// It is not worth trying again.
    pub fn rejected(source: impl Into<BoxError>) -> Self {
        Self {
            kind: StoreErrorKind::Rejected,
            source: source.into(),
        }
    }

    /// As many errors of the same kind and text as are asked for.
    pub(crate) fn copies(self) -> impl FnMut() -> Self {
        let source: Arc<dyn StdError + Send + Sync> = self.source.into();
        move || Self {
            kind: self.kind,
            source: Arc::clone(&source).into(),
        }
    }

    /// Whether it is worth trying again.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StoreErrorKind::Unavailable => f.write_str("the store is unavailable"),
            StoreErrorKind::Rejected => f.write_str("the store rejects this"),
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
