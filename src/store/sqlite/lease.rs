//! Leasing: a look without the write lock, then due records in order, each under a new token.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{
    Shared,
    clock::ceil_millis,
    db_error::store_error,
    rows::{self, KeyHash},
    schema,
};
use crate::store::{Lease, Leased, Queue, StoreError};

/// The latest time that was written, the queue's number, and whether anything is due in it: an
/// empty lease takes no lock.
const PROBE: &str = "
SELECT
    (SELECT max(clock) FROM tower_callback_queue),
    q.id,
    EXISTS (SELECT 1 FROM tower_callback_record r WHERE r.queue = q.id AND r.due <= ?3)
FROM tower_callback_queue q WHERE q.endpoint = ?1 AND q.kind = ?2";

/// A record that is still leased although it is due lost its lease by expiry. That is not counted
/// against an event that replaced the leased one.
const BEGIN: &str = "
BEGIN IMMEDIATE;
SELECT -3, max(version) FROM tower_callback_schema;
SELECT r.seq, r.k, r.id, p.key, r.rank, p.body, p.meta, r.attempt + 1,
    r.expiries + (r.state = 1 AND r.next_due IS NULL), r.born
FROM tower_callback_record r INDEXED BY tower_callback_due
CROSS JOIN tower_callback_payload p ON p.seq = r.seq
WHERE r.queue = ?1 AND r.due <= ?2
ORDER BY r.due, r.seq LIMIT ?3";

/// Rows as a JSON array, tokens packed in the same order.
const LEASE: &str = "
UPDATE OR ROLLBACK tower_callback_record SET
    expiries = expiries + (state = 1 AND next_due IS NULL),
    settled_by = iif(state = 0, token, settled_by),
    attempt = attempt + 1, state = 1, next_due = NULL, due = ?3, lease_until = ?3,
    token = substr(?2, j.key * 16 + 1, 16)
FROM json_each(?1) j WHERE seq = j.value;
COMMIT";

pub(super) async fn lease(
    shared: &Shared,
    queue: &Queue,
    max: usize,
    ttl: Duration,
) -> Result<Vec<Leased>, StoreError> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let mut held = shared.connections.reader().await?;
    let probe = query(PROBE)
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .bind(shared.clock.now())
        .fetch_optional(held.conn())
        .await
        .map_err(store_error);
    let Some(row) = shared.connections.finish(held, probe)? else {
        return Ok(Vec::new());
    };
    shared.clock.at_least(row.try_get(0).map_err(store_error)?);
    let number: i64 = row.try_get(1).map_err(store_error)?;
    if !row.try_get::<bool, _>(2).map_err(store_error)? {
        return Ok(Vec::new());
    }

    let mut held = shared.connections.writer().await?;
    let leased = run(shared, held.conn(), queue, number, max, ttl).await;
    shared.connections.finish(held, leased.map_err(store_error))
}

async fn run(
    shared: &Shared,
    conn: &mut SqliteConnection,
    queue: &Queue,
    number: i64,
    max: usize,
    ttl: Duration,
) -> Result<Vec<Leased>, sqlx::Error> {
    let due = query(BEGIN)
        .bind(number)
        .bind(shared.clock.now())
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
    // The lock may have been long in coming.
    let now = shared.clock.now();
    let mut seqs = Vec::with_capacity(due.len());
    let mut tokens = Vec::with_capacity(due.len() * 16);
    let mut leased: Vec<Leased> = Vec::with_capacity(due.len());
    for row in &due {
        if row.try_get::<i64, _>(0)? == -3 {
            schema::check(row.try_get(1)?)?;
            continue;
        }
        let (seq, lease) = read(row, queue, now)?;
        // A suspect goes alone, when its turn comes.
        let suspect = lease.expiries > 0;
        if suspect && !leased.is_empty() {
            break;
        }
        seqs.push(seq);
        tokens.extend_from_slice(&lease.lease.token.to_bytes());
        leased.push(lease);
        if suspect {
            break;
        }
    }
    query(LEASE)
        .bind(rows::json_array(seqs))
        .bind(tokens)
        .bind(now.saturating_add(ceil_millis(ttl)))
        .execute(conn)
        .await?;
    Ok(leased)
}

fn read(row: &SqliteRow, queue: &Queue, now: i64) -> Result<(i64, Leased), sqlx::Error> {
    let k: &[u8] = row.try_get(1)?;
    let k: KeyHash = k.try_into().map_err(rows::damaged)?;
    let id = rows::id(row.try_get(2)?)?;
    let key: Vec<u8> = row.try_get(3)?;
    let body: Vec<u8> = row.try_get(5)?;
    let meta: Vec<u8> = row.try_get(6)?;
    let born: i64 = row.try_get(9)?;
    let age = u64::try_from(now.saturating_sub(born)).unwrap_or(0);
    let leased = Leased::new(
        Lease::new(queue.clone(), id, rows::new_token(&k)),
        key.into(),
        row.try_get(4)?,
        body.into(),
        meta.into(),
    )
    .with_history(row.try_get(7)?, row.try_get(8)?, Duration::from_millis(age));
    Ok((row.try_get(0)?, leased))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;
    use crate::store::{Inbox as _, NewRecord, SqliteStore, Store as _};

    /// How SQLite goes through the records for a statement.
    async fn ways(conn: &mut SqliteConnection, statement: &str) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let rows = query(AssertSqlSafe(explain)).fetch_all(conn).await.unwrap();
        let details = rows.iter().map(|row| row.get::<String, _>("detail"));
        details
            .filter(|way| way.starts_with("SEARCH r") || way.starts_with("SCAN r"))
            .collect()
    }

    #[tokio::test]
    async fn an_empty_lease_reads_nothing_of_what_is_due_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let options = SqliteConnectOptions::new().filename(&path);
        let mut conn = options.connect().await.unwrap();
        let (_, begin) = BEGIN.rsplit_once(';').unwrap();
        let later = Duration::from_secs(3600);
        for records in [0, 1000] {
            let queue = Queue::events("music-video");
            let future: Vec<_> = (0..records)
                .map(|n| NewRecord::new(queue.clone(), n.to_string(), "").with_due_in(later))
                .collect();
            store.insert(&future).await.unwrap();
            // What it knows of the tables may change its mind.
            query("ANALYZE").execute(&mut conn).await.unwrap();
            for (statement, index) in [(PROBE, "COVERING INDEX"), (begin, "INDEX")] {
                let way = format!("SEARCH r USING {index} tower_callback_due (queue=? AND due<?)");
                let ways = ways(&mut conn, statement).await;
                assert_eq!(ways, [way], "with {records} records");
            }
        }
    }

    #[tokio::test]
    async fn an_empty_lease_takes_no_lock_though_one_before_was_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let queue = Queue::events("music-video");
        let ttl = Duration::from_secs(60);
        let record = |key: &'static str| NewRecord::new(queue.clone(), key, "");
        store.insert(&[record("a"), record("b")]).await.unwrap();
        for rest in [1, 1, 0] {
            assert_eq!(store.lease(&queue, 1, ttl).await.unwrap().len(), rest);
        }
        let options = SqliteConnectOptions::new().filename(&path);
        let mut conn = options.connect().await.unwrap();
        query("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
        assert!(store.lease(&queue, 1, ttl).await.unwrap().is_empty());
    }
}
