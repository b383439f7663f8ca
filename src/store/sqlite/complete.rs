//! Done, inside a transaction of the user's.

use sqlx::{Row, SqliteConnection, query};

use super::{clock, rows, schema};
use crate::store::{CompleteError, CompleteErrorKind, Lease};

/// Written first: if it was cut off after this, and committed all the same, the record is still
/// leased, and its settlement replaces the row.
const REMEMBER: &str = "
INSERT OR REPLACE INTO tower_callback_seen
    (k, seq, queue, state, at, rank, digest, token, id, completed)
SELECT k, seq, queue, 4, max(?4, (SELECT max(clock) FROM tower_callback_queue)),
    rank, digest, token, id, 1
FROM tower_callback_record
WHERE k BETWEEN ?1 AND ?2 AND state < 4 AND state = 1 AND token = ?3 AND next_due IS NULL";

const DONE: &str = "
UPDATE tower_callback_record SET state = 4, due = NULL,
    at = max(?4, (SELECT max(clock) FROM tower_callback_queue))
WHERE k BETWEEN ?1 AND ?2 AND state < 4 AND state = 1 AND token = ?3 AND next_due IS NULL
RETURNING queue";

const COUNT: &str = "UPDATE tower_callback_queue SET live = live - 1 WHERE id = ?1";

/// The event was replaced by a better one while it was handled: that one is due now.
const REPLACED: &str = "
UPDATE tower_callback_record SET state = 0, attempt = 0, lease_until = NULL, next_due = NULL,
    due = max(next_due, ?4)
WHERE k BETWEEN ?1 AND ?2 AND state < 4 AND state = 1 AND token = ?3 AND next_due IS NOT NULL";

const COMPLETED: &str = "
SELECT count(*) FROM tower_callback_seen
WHERE k BETWEEN ?1 AND ?2 AND token = ?3 AND state = 4 AND completed = 1";

pub(super) async fn complete(
    conn: &mut SqliteConnection,
    lease: &Lease,
) -> Result<(), CompleteError> {
    match run(conn, lease).await {
        Ok(None) => Ok(()),
        Ok(Some(kind)) => Err(CompleteError::new(kind)),
        Err(error) => Err(CompleteError::database(error)),
    }
}

async fn run(
    conn: &mut SqliteConnection,
    lease: &Lease,
) -> Result<Option<CompleteErrorKind>, sqlx::Error> {
    let [low, high] = rows::token_range(lease.token);
    schema::check_under_lock(conn).await?;
    let now = clock::wall();
    let statement = |sql: &'static str| {
        query(sql)
            .bind(low.to_vec())
            .bind(high.to_vec())
            .bind(lease.token.to_bytes().to_vec())
            .bind(now)
    };
    let remembered = statement(REMEMBER).execute(&mut *conn).await?;
    if remembered.rows_affected() > 0 {
        let row = statement(DONE).fetch_one(&mut *conn).await?;
        let queue: i64 = row.try_get(0)?;
        query(COUNT).bind(queue).execute(&mut *conn).await?;
        return Ok(None);
    }
    let replaced = statement(REPLACED).execute(&mut *conn).await?;
    if replaced.rows_affected() > 0 {
        return Ok(None);
    }
    let completed = statement(COMPLETED).fetch_one(conn).await?;
    Ok(Some(if completed.try_get::<i64, _>(0)? > 0 {
        CompleteErrorKind::Completed
    } else {
        CompleteErrorKind::Lost
    }))
}
