//! What an error of the database means for the store.

use std::error::Error as _;

use super::{OpenError, OpenErrorKind};
use crate::store::StoreError;

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const TOO_BIG: i32 = 18;

/// SQLite's primary result code, where the error has one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Somebody else holds the lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(BUSY | LOCKED))
}

/// The same, of an error that was wrapped.
pub(super) fn is_locked(error: &StoreError) -> bool {
    let Some(source) = error.source() else {
        return false;
    };
    let opening = source.downcast_ref::<OpenError>();
    opening.is_some_and(|error| error.kind() == OpenErrorKind::Locked)
        || source.downcast_ref().is_some_and(is_busy)
}

/// Only what can never be stored is rejected. Everything else may be better next time: a full
/// disk, a lock, a file that cannot be written, and even a damaged one, once it is replaced.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match code(&error) {
        Some(TOO_BIG) => StoreError::rejected(error),
        _ => StoreError::unavailable(error),
    }
}
