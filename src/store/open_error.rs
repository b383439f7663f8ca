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
    /// The tables are those of an earlier version of this crate, and were to be left as they are: a
    /// [`StoreUrl`](super::StoreUrl) upgrades nothing under a service that runs.
    OlderSchema,
    /// There is no such file, or there are no tables, and none were to be made.
    Missing,
    /// What makes a commit durable cannot be had. SQLite: the write-ahead log and
    /// `synchronous=FULL`; a database in memory is the usual reason, or a
    /// [spool](super::Spooled) in front of a store that is volatile. Postgres: the server runs with
    /// `fsync=off`, or without the synchronous standby that was
    /// required (`PostgresOptions::require_sync_standby`). Redis: its settings would lose what it
    /// acknowledged.
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

    #[cfg(any(test, feature = "postgres", feature = "sqlite", feature = "testing"))]
    pub(in crate::store) fn io(detail: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(OpenErrorKind::Io, detail).with_source(source)
    }

    pub(in crate::store) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Holds the version of the tables that were found, 0 where there are none, against the present one.
    /// What is newer is told when it is opened.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(in crate::store) fn unless_present(found: i64, present: usize) -> Result<(), Self> {
        match usize::try_from(found) {
            Ok(0) => Err(Self::new(
                OpenErrorKind::Missing,
                "there are no tables of tower-callback",
            )),
            Ok(found) if found < present => Err(Self::new(
                OpenErrorKind::OlderSchema,
                format!(
                    "the tables have version {found}, and this release of tower-callback has {present}: \
                     use the release that the service has, or start a service of this one, which upgrades them"
                ),
            )),
            _ => Ok(()),
        }
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

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_not_the_present_ones_are_told_by_their_age() {
        let kind = |found| OpenError::unless_present(found, 3).map_err(|error| error.kind());
        assert_eq!(kind(0), Err(OpenErrorKind::Missing));
        assert_eq!(kind(2), Err(OpenErrorKind::OlderSchema));
        assert_eq!(kind(3), Ok(()));
        // What opens them says that they are newer.
        assert_eq!(kind(4), Ok(()));
    }
}
