//! What an error of the database means for opening it.

use super::db_error::is_busy;
pub(super) use crate::store::{OpenError, OpenErrorKind};

impl From<DbError> for OpenError {
    fn from(DbError(error): DbError) -> Self {
        let kind = if is_busy(&error) {
            OpenErrorKind::Locked
        } else {
            OpenErrorKind::Io
        };
        Self::new(kind, "the database cannot be used").with_source(error)
    }
}

/// An error of the database driver, inside this room only: its conversion must not be public.
pub(super) struct DbError(pub(super) sqlx::Error);
