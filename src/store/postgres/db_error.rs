//! What an error of the database means for the store.

use std::error::Error as _;

use crate::store::{OpenError, OpenErrorKind, StoreError};

/// Two of all keys have the same hash, and both are there: the second can never be stored.
pub(super) fn collision() -> StoreError {
    StoreError::rejected("two keys have the same hash")
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Values that the server never takes: too long, out of range, or with characters that its texts cannot
/// hold. Not the whole class 22, and not 54000, "beyond a limit": that is also what a server says
/// that takes no commands until it is vacuumed.
const NEVER: [&str; 4] = ["22001", "22003", "22021", "22P05"];

/// Only what can never be stored is rejected. Everything else may be better next time: a lost
/// connection, an exhausted pool, a server that is shut down or was just made a standby (57P0x,
/// 25006), a conflict (40001, 40P01), a full disk, and even missing tables, once somebody has
/// made them.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match code(&error) {
        Some(code) if NEVER.contains(&&*code) => StoreError::rejected(error),
        // What a pooler in transaction mode makes of prepared statements that were meant for another
        // connection.
        Some(code) if code == "26000" || code == "42P05" => StoreError::unavailable(format!(
            "a prepared statement is not where it was prepared ({code}): there is a pooler between \
             the store and the server, see `PostgresOptions::with_prepared_statements`"
        )),
        _ => StoreError::unavailable(error),
    }
}

/// Whether somebody held a lock for longer than it was waited for.
pub(super) fn is_lock_timeout(error: &StoreError) -> bool {
    let source = error.source().and_then(|error| error.downcast_ref());
    source.and_then(code).as_deref() == Some("55P03")
}

/// The same when the store is opened.
pub(super) fn open_error(error: sqlx::Error) -> OpenError {
    // What stands there may be taken from the URL, which holds a password.
    if let sqlx::Error::Configuration(_) = error {
        return OpenError::new(
            OpenErrorKind::Invalid,
            "the URL is none of a PostgreSQL server",
        );
    }
    // What our own functions raise when the server cannot keep the promise.
    if code(&error).as_deref() == Some("55000") {
        let detail = error
            .as_database_error()
            .map(|error| error.message().to_owned())
            .unwrap_or_default();
        return OpenError::new(OpenErrorKind::NotDurable, detail);
    }
    OpenError::io("the PostgreSQL server cannot be used", error)
}
