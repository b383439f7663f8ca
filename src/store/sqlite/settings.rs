//! The settings of a connection without which a commit is not on disk.

use sqlx::{AssertSqlSafe, Row, SqliteConnection, raw_sql};

use super::open_error::{DbError, OpenError, OpenErrorKind};

/// SQLite's number for `synchronous=FULL`; `EXTRA` is one more.
const FULL: i64 = 2;

/// Sets what makes commits durable, and reads it back: a pragma that does not take is no error.
pub(super) async fn make_durable(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    if read(conn).await? {
        return Ok(());
    }
    // A sync on Apple's systems reaches the drive's cache only, unless it is told otherwise.
    raw_sql(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;",
    )
    .execute(&mut *conn)
    .await
    .map_err(DbError)?;
    if read(conn).await? {
        return Ok(());
    }
    Err(OpenError::new(
        OpenErrorKind::NotDurable,
        "the write-ahead log with `synchronous=FULL` cannot be had on this database",
    ))
}

/// How long heartbeats wait for somebody's lock: they can be repeated, and hold up all who write.
const HURRY_MS: i64 = 250;

/// Does something that does not wait long for a lock. If it fails, so does the setting, and the
/// connection is to be closed.
pub(super) async fn hurry<T>(
    conn: &mut SqliteConnection,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let row = raw_sql("PRAGMA busy_timeout").fetch_one(&mut *conn).await?;
    let usual: i64 = row.try_get(0)?;
    if usual <= HURRY_MS {
        return work(conn).await;
    }
    set_busy_timeout(conn, HURRY_MS).await?;
    let done = work(conn).await?;
    set_busy_timeout(conn, usual).await?;
    Ok(done)
}

async fn set_busy_timeout(conn: &mut SqliteConnection, millis: i64) -> Result<(), sqlx::Error> {
    // Made of this crate's own text and a number: a pragma takes no parameters.
    let sql = AssertSqlSafe(format!("PRAGMA busy_timeout = {millis}"));
    raw_sql(sql).execute(conn).await?;
    Ok(())
}

async fn read(conn: &mut SqliteConnection) -> Result<bool, OpenError> {
    // Text and integers come as separate rows of one round trip.
    let rows = raw_sql("PRAGMA journal_mode; PRAGMA synchronous; PRAGMA fullfsync;")
        .fetch_all(conn)
        .await
        .map_err(DbError)?;
    let [journal, synchronous, fullfsync] = rows.as_slice() else {
        return Ok(false);
    };
    let journal: String = journal.try_get(0).map_err(DbError)?;
    let synchronous: i64 = synchronous.try_get(0).map_err(DbError)?;
    let fullfsync: i64 = fullfsync.try_get(0).map_err(DbError)?;
    Ok(journal.eq_ignore_ascii_case("wal") && synchronous >= FULL && fullfsync == 1)
}

#[cfg(test)]
mod tests {
    use sqlx::{
        ConnectOptions as _, Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    };

    use super::*;

    #[tokio::test]
    async fn what_was_switched_off_is_switched_on_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = SqliteConnectOptions::new()
            .filename(dir.path().join("a.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Off)
            .connect()
            .await
            .unwrap();
        assert!(!read(&mut conn).await.unwrap());
        make_durable(&mut conn).await.unwrap();
        assert!(read(&mut conn).await.unwrap());
    }

    #[tokio::test]
    async fn a_database_in_memory_is_not_durable() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let error = make_durable(&mut conn).await.unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::NotDurable);
    }
}
