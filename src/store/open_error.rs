//! Why a store cannot be opened.

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::{error::Error as StdError, fmt};

use crate::BoxError;

/// Why a store on a database cannot be opened.
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
    /// SQLite: the file is on a network or shared file system, where SQLite's locks do not hold.
    NetworkFileSystem,
    /// The tables were written by a later version of this crate.
    NewerSchema,
    /// What makes a commit durable cannot be had. SQLite: the write-ahead log and
    /// `synchronous=FULL`; a database in memory is the usual reason, or a
    /// [spool](super::Spooled) in front of a store that is volatile. Postgres: the server runs with
    /// `fsync=off`, or without the synchronous standby that was
    /// required (`PostgresOptions::require_sync_standby`).
    NotDurable,
    /// SQLite: somebody holds the file's lock.
    Locked,
    /// What was given cannot be used: a URL that is none, or a name of a schema.
    Invalid,
    /// The file, its directory or the server cannot be reached, read or written, or is no database.
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

    pub(in crate::store) fn io(detail: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(OpenErrorKind::Io, detail).with_source(source)
    }

    pub(in crate::store) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says which file it is about.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn at(mut self, path: &Path) -> Self {
        self.detail = format!("{}: {}", path.display(), self.detail);
        self
    }

    /// What is in the way.
    pub fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}

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
