//! The tables, and how older ones become the present ones.
//!
//! - `record` holds everything that has a body: what is pending, leased, in quarantine or dead, and
//!   what is done until its body is purged. Rows are appended and stay where they are, so that
//!   neighbours share pages.
//! - `payload` has the bodies, one for each row of `record`: they are written once, however
//!   often their records are leased, and do not keep those apart.
//! - `seen` holds what is left of the done: hashed keys, for as long as repeats are recognised. Its
//!   rows come in random order, which costs a page each; so they are written when a record is
//!   settled, and not while a caller waits for its answer.
//! - The partial index `tower_callback_key` finds a key among the records that `seen` does not know
//!   yet. It is as small as the backlog.
//! - `failure` has the attempts that failed, by the number of the record and counted up, the newest
//!   sixteen of each record.
//! - The partial index `tower_callback_id` finds what operators ask for most, by its id: what is dead or
//!   in quarantine. It is not touched on the way of what goes well.
//!
//! | state | | `due` | `at` |
//! | --- | --- | --- | --- |
//! | 0 | pending | when it may be leased | |
//! | 1 | leased | when it may be leased again | |
//! | 2 | in quarantine | | arrival |
//! | 3 | dead | | settlement |
//! | 4 | done | | settlement |
//! | 5 | in `seen` only: disowned, the key is free, its token is remembered | | settlement |
//!
//! `token` is the last lease's. While a lease goes on, `settled_by` is the one that was settled last,
//! and `next_due` says that the leased event was replaced, and when its successor is due. `completed`
//! is 1 where the record was done in a transaction of the user's.

use std::path::Path;

use sqlx::{
    ConnectOptions as _, Connection as _, Row, SqliteConnection, query, raw_sql,
    sqlite::SqliteConnectOptions,
};

use super::open_error::{DbError, OpenError, OpenErrorKind};

/// Step `n` makes version `n + 1` of version `n`. Steps that were released are never changed.
const STEPS: &[&str] = &[V1, V2];

const V1: &str = "
CREATE TABLE tower_callback_queue (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 0,
    clock INTEGER NOT NULL DEFAULT 0,
    UNIQUE (endpoint, kind)
);
CREATE TABLE tower_callback_record (
    seq INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    due INTEGER,
    at INTEGER,
    lease_until INTEGER,
    next_due INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    expiries INTEGER NOT NULL DEFAULT 0,
    born INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    token BLOB,
    settled_by BLOB,
    k BLOB NOT NULL,
    id BLOB NOT NULL,
    error TEXT
);
CREATE TABLE tower_callback_payload (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    meta BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TRIGGER tower_callback_gone AFTER DELETE ON tower_callback_record BEGIN
    DELETE FROM tower_callback_payload WHERE seq = old.seq;
END;
CREATE UNIQUE INDEX tower_callback_key ON tower_callback_record (k) WHERE state < 4;
CREATE INDEX tower_callback_due ON tower_callback_record (queue, due) WHERE due IS NOT NULL;
CREATE INDEX tower_callback_kept ON tower_callback_record (state, at) WHERE at IS NOT NULL;
CREATE TABLE tower_callback_seen (
    k BLOB PRIMARY KEY,
    seq INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    at INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    token BLOB,
    id BLOB NOT NULL,
    completed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX tower_callback_seen_at ON tower_callback_seen (at);
";

/// When an earlier attempt failed was not written down before; of what is dead, the last one is known.
const V2: &str = "
CREATE TABLE tower_callback_failure (
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (seq, n)
) WITHOUT ROWID;
INSERT INTO tower_callback_failure (seq, n, attempt, at, error)
    SELECT seq, 1, attempt, at, error FROM tower_callback_record
    WHERE state = 3 AND at IS NOT NULL AND error IS NOT NULL;
DROP TRIGGER tower_callback_gone;
CREATE TRIGGER tower_callback_gone AFTER DELETE ON tower_callback_record BEGIN
    DELETE FROM tower_callback_payload WHERE seq = old.seq;
    DELETE FROM tower_callback_failure WHERE seq = old.seq;
END;
CREATE INDEX tower_callback_id ON tower_callback_record (id) WHERE state IN (2, 3);
";

/// Makes the tables the present ones. Several processes may do so at once.
pub(super) async fn ensure(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    upgrade(conn, STEPS).await
}

/// Refuses a file that is not there, or whose tables are not the present ones.
pub(super) async fn require_present(path: &Path) -> Result<(), OpenError> {
    if !path.is_file() {
        return Err(OpenError::new(
            OpenErrorKind::Missing,
            "there is no such file",
        ));
    }
    let options = SqliteConnectOptions::new().filename(path);
    let options = options.disable_statement_logging();
    let mut conn = options.connect().await.map_err(DbError)?;
    let found = version(&mut conn).await?;
    conn.close().await.map_err(DbError)?;
    OpenError::unless_present(found, STEPS.len())
}

/// Commits something, so that the log is synced with all that is in it. Only a change does that: rows
/// that are written as they were are not written at all.
///
/// Before that, what is in the log is copied into the database, as far as readers let it: when a
/// sync has failed, the kernel may believe that pages are on disk which are not, and a later sync
/// of the log would pass over them.
pub(super) async fn sync(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    execute(
        conn,
        "PRAGMA wal_checkpoint(PASSIVE);
         UPDATE tower_callback_schema SET opened = opened + 1",
    )
    .await
}

/// The same for a connection of a pool, when it is first seen: the pool opens new ones after an error,
/// and at any time. The temporary database of a connection remembers it.
pub(super) async fn sync_once(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let seen = query("PRAGMA temp.user_version").fetch_one(&mut *conn);
    let seen = seen.await.and_then(|row| row.try_get::<i64, _>(0));
    if seen.map_err(DbError)? == 0 {
        sync(conn).await?;
        execute(conn, "PRAGMA temp.user_version = 1").await?;
    }
    Ok(())
}

/// Refuses tables that another process has made later ones of, since the connection was opened.
/// Whoever writes asks under the lock, and so does not write what they do not mean any more.
pub(super) fn check(found: i64) -> Result<(), sqlx::Error> {
    if usize::try_from(found) == Ok(STEPS.len()) {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!(
        "the tables have version {found} by now, which this release of tower-callback does not know"
    )))
}

/// The same, of what the database says.
pub(super) async fn check_under_lock(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let version = query("SELECT max(version) FROM tower_callback_schema").fetch_one(conn);
    check(version.await?.try_get(0)?)
}

async fn upgrade(
    conn: &mut SqliteConnection,
    steps: &'static [&'static str],
) -> Result<(), OpenError> {
    let present = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if version(conn).await? == present {
        return Ok(());
    }
    execute(conn, "BEGIN IMMEDIATE").await?;
    // Somebody else may have been faster: only what is read under the lock counts.
    let found = version(conn).await?;
    let missing = usize::try_from(found).ok().and_then(|v| steps.get(v..));
    let Some(missing) = missing else {
        return Err(OpenError::new(
            OpenErrorKind::NewerSchema,
            format!(
                "the tables have version {found}, and this release of tower-callback knows versions up to {present}: use a later release"
            ),
        ));
    };
    for step in missing {
        execute(conn, step).await?;
    }
    execute(
        conn,
        "CREATE TABLE IF NOT EXISTS tower_callback_schema (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            version INTEGER NOT NULL,
            opened INTEGER NOT NULL DEFAULT 0,
            database BLOB NOT NULL DEFAULT (randomblob(16))
        )",
    )
    .await?;
    query(
        "INSERT INTO tower_callback_schema (one, version) VALUES (1, ?)
         ON CONFLICT (one) DO UPDATE SET version = excluded.version",
    )
    .bind(present)
    .execute(&mut *conn)
    .await
    .map_err(DbError)?;
    execute(conn, "COMMIT").await
}

/// Which database a connection leads to: chosen at random when the tables were made.
pub(super) async fn database(conn: &mut SqliteConnection) -> Result<Vec<u8>, OpenError> {
    let row = query("SELECT database FROM tower_callback_schema").fetch_one(conn);
    Ok(row.await.and_then(|row| row.try_get(0)).map_err(DbError)?)
}

/// Zero where there are no tables yet.
async fn version(conn: &mut SqliteConnection) -> Result<i64, OpenError> {
    let known = query(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'tower_callback_schema'",
    )
    .fetch_one(&mut *conn)
    .await
    .and_then(|row| row.try_get::<i64, _>(0))
    .map_err(DbError)?;
    if known == 0 {
        return Ok(0);
    }
    let version = query("SELECT max(version) FROM tower_callback_schema")
        .fetch_one(conn)
        .await
        .and_then(|row| row.try_get::<Option<i64>, _>(0))
        .map_err(DbError)?;
    Ok(version.unwrap_or(0))
}

async fn execute(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), OpenError> {
    raw_sql(sql).execute(conn).await.map_err(DbError)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: &[&str] = &[
        V1,
        V2,
        "ALTER TABLE tower_callback_record ADD COLUMN later INTEGER NOT NULL DEFAULT 7",
    ];

    async fn memory() -> SqliteConnection {
        SqliteConnection::connect("sqlite::memory:").await.unwrap()
    }

    #[tokio::test]
    async fn an_older_schema_is_upgraded_and_keeps_its_rows() {
        let mut conn = memory().await;
        upgrade(&mut conn, STEPS).await.unwrap();
        query(
            "INSERT INTO tower_callback_record
                (queue, state, born, rank, digest, k, id)
             VALUES (1, 0, 0, 0, 0, x'00', x'01')",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        upgrade(&mut conn, LATER).await.unwrap();
        assert_eq!(version(&mut conn).await.unwrap(), 3);
        let row = query("SELECT later FROM tower_callback_record")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), 7);
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let mut conn = memory().await;
        upgrade(&mut conn, LATER).await.unwrap();
        let error = upgrade(&mut conn, STEPS).await.unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
        assert!(error.to_string().contains("version 3"), "{error}");
        assert_eq!(version(&mut conn).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_step_that_fails_leaves_the_version_as_it_was() {
        let mut conn = memory().await;
        upgrade(&mut conn, STEPS).await.unwrap();
        const BROKEN: &[&str] = &[
            V1,
            V2,
            "ALTER TABLE tower_callback_record ADD COLUMN later INTEGER; SELECT nonsense",
        ];
        upgrade(&mut conn, BROKEN).await.unwrap_err();
        // What closing the connection does.
        execute(&mut conn, "ROLLBACK").await.unwrap();
        assert_eq!(version(&mut conn).await.unwrap(), 2);
        upgrade(&mut conn, LATER).await.unwrap();
    }
}
