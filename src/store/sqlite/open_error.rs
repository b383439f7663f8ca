//! Why a store cannot be opened.

use std::{error::Error as StdError, fmt, path::Path};

use crate::BoxError;

/// Why a [`SqliteStore`](super::SqliteStore) cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    kind: OpenErrorKind,
    detail: String,
    source: Option<BoxError>,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The file is on a network or shared file system, where SQLite's locks do not hold.
    NetworkFileSystem,
    /// The tables were written by a later version of this crate.
    NewerSchema,
    /// The settings that make a commit durable did not take: the write-ahead log and
    /// `synchronous=FULL`. A database in memory is the usual reason. Also a
    /// [spool](crate::store::Spooled) in front of a store that is volatile.
    NotDurable,
    /// Somebody holds the file's lock.
    Locked,
    /// The file or its directory cannot be read or written, or is no database.
    Io,
}

impl OpenError {
    pub(in crate::store) fn new(kind: OpenErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
        }
    }

    pub(super) fn io(detail: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(OpenErrorKind::Io, detail).with_source(source)
    }

    pub(in crate::store) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says which file it is about.
    pub(in crate::store) fn at(mut self, path: &Path) -> Self {
        self.detail = format!("{}: {}", path.display(), self.detail);
        self
    }

    /// What is in the way.
    pub fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}

impl From<DbError> for OpenError {
    fn from(DbError(error): DbError) -> Self {
        let kind = if super::db_error::is_busy(&error) {
            OpenErrorKind::Locked
        } else {
            OpenErrorKind::Io
        };
        Self::new(kind, "the database cannot be used").with_source(error)
    }
}

/// An error of the database driver, inside this room only: its conversion must not be public.
pub(super) struct DbError(pub(super) sqlx::Error);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
