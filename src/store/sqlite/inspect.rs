//! Looking in, without the write lock.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{
    Shared,
    db_error::store_error,
    locate::{Found, locate},
    rows,
};
use crate::store::{
    Queue, QueueKind, RecordId, State, StoreError,
    inspect::{Counts, FailedAttempt, Record, Summary},
};

/// All but the done are counted in indexes that are as small as what is counted.
const COUNT: &str = "
WITH q(id) AS MATERIALIZED
    (SELECT id FROM tower_callback_queue WHERE endpoint = ?1 AND kind = ?2)
SELECT
    (SELECT count(*) FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_due
        ON r.queue = q.id AND r.due IS NOT NULL),
    (SELECT count(*) FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_due
        ON r.queue = q.id AND r.due IS NOT NULL WHERE r.state = 1 AND r.lease_until > ?3),
    (SELECT count(*) FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_kept
        ON r.state = 2 AND r.at IS NOT NULL WHERE +r.queue = q.id),
    (SELECT count(*) FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_kept
        ON r.state = 3 AND r.at IS NOT NULL WHERE +r.queue = q.id),
    (SELECT count(*) FROM q CROSS JOIN tower_callback_seen s
        WHERE +s.queue = q.id AND s.state = 4),
    coalesce(
        (SELECT r.due FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_due
            ON r.queue = q.id AND r.due <= ?3 ORDER BY r.due LIMIT 1),
        (SELECT r.at FROM q CROSS JOIN tower_callback_record r INDEXED BY tower_callback_kept
            ON r.state = 2 AND r.at <= ?3 WHERE +r.queue = q.id ORDER BY r.at LIMIT 1))";

pub(super) async fn counts(shared: &Shared, queue: &Queue) -> Result<Counts, StoreError> {
    let mut held = shared.connections.reader().await?;
    let now = shared.clock.now();
    let row = query(COUNT)
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .bind(now)
        .fetch_one(held.conn())
        .await
        .map_err(store_error);
    let row = shared.connections.finish(held, row)?;
    let count = |index: usize| -> Result<u64, StoreError> {
        let count: i64 = row.try_get(index).map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    let (waiting, leased, quarantined) = (count(0)?, count(1)?, count(2)?);
    let first_due: Option<i64> = row.try_get(5).map_err(store_error)?;
    Ok(Counts {
        pending: waiting - leased + quarantined,
        leased,
        dead: count(3)?,
        done: count(4)?,
        dropped: shared.dropped(queue),
        oldest_due: first_due.map(|due| between(due, now)),
    })
}

pub(super) async fn queues(shared: &Shared) -> Result<Vec<Queue>, StoreError> {
    let mut held = shared.connections.reader().await?;
    let rows = query("SELECT endpoint, kind FROM tower_callback_queue ORDER BY endpoint, kind")
        .fetch_all(held.conn())
        .await
        .map_err(store_error);
    let rows = shared.connections.finish(held, rows)?;
    let mut queues = Vec::with_capacity(rows.len());
    for row in rows {
        let endpoint: String = row.try_get(0).map_err(store_error)?;
        let kind: String = row.try_get(1).map_err(store_error)?;
        // A kind that this release does not know is none that it could be asked about.
        if let Some(kind) = QueueKind::from_word(&kind) {
            queues.push(Queue::new(endpoint, kind));
        }
    }
    Ok(queues)
}

/// The columns of a [`Summary`], of a record `r` and its payload `p`.
macro_rules! summary {
    ($($rest:tt)*) => {
        concat!(
            "SELECT r.queue, r.state, r.id, r.rank, p.key, r.attempt, r.expiries, r.born, r.due,
                r.at, r.lease_until, r.next_due, r.error, r.seq, r.k ",
            $($rest)*
        )
    };
}
pub(super) use summary;

/// The same of what is remembered as done (`s`), whether its body is kept (`r`, `p`) or not.
macro_rules! summary_of_seen {
    ($($rest:tt)*) => {
        concat!(
            "SELECT s.queue, s.state, s.id, s.rank, p.key, r.attempt, r.expiries, r.born, NULL,
                s.at, NULL, NULL, r.error, r.seq, s.k ",
            $($rest)*
        )
    };
}
pub(super) use summary_of_seen;

pub(super) fn read_summary(row: &SqliteRow, now: i64) -> Result<Summary, sqlx::Error> {
    let code: i64 = row.try_get(1)?;
    let state = rows::state(code, row.try_get(10)?, now);
    let mut summary = Summary::new(rows::id(row.try_get(2)?)?, row.try_get(3)?, state);
    if let Some(key) = row.try_get::<Option<Vec<u8>>, _>(4)? {
        let expired = code == rows::LEASED
            && state == State::Pending
            && row.try_get::<Option<i64>, _>(11)?.is_none();
        let expiries = row.try_get::<u32, _>(6)? + u32::from(expired);
        summary = summary
            .with_key(key)
            .with_history(row.try_get(5)?, expiries, between(row.try_get(7)?, now))
            .with_error(row.try_get(12)?);
    }
    let due: Option<i64> = row.try_get(8)?;
    let at: Option<i64> = row.try_get(9)?;
    Ok(match (state, due, at) {
        (State::Pending | State::Leased, Some(due), _) => summary.with_due_in(between(now, due)),
        (State::Done | State::Dead, _, Some(at)) => summary.with_settled(between(at, now)),
        _ => summary,
    })
}

const LOOK: &str = summary!(
    ", p.body, p.meta
FROM tower_callback_record r CROSS JOIN tower_callback_payload p ON p.seq = r.seq
WHERE r.seq = ?1 AND r.id = ?2 AND r.state < 4"
);

const LOOK_AT_SEEN: &str = summary_of_seen!(
    ", p.body, p.meta
FROM tower_callback_seen s
LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
LEFT JOIN tower_callback_payload p ON p.seq = r.seq
WHERE s.k = ?1 AND s.id = ?2 AND s.state = 4"
);

pub(super) async fn look(
    shared: &Shared,
    queue: &Queue,
    id: RecordId,
) -> Result<Option<Record>, StoreError> {
    let mut held = shared.connections.reader().await?;
    let record = look_with(held.conn(), queue, id, shared.clock.now()).await;
    shared.connections.finish(held, record.map_err(store_error))
}

async fn look_with(
    conn: &mut SqliteConnection,
    queue: &Queue,
    id: RecordId,
    now: i64,
) -> Result<Option<Record>, sqlx::Error> {
    let Some((_, mut found)) = locate(conn, queue, &[id]).await? else {
        return Ok(None);
    };
    let Some(Found { seq, k }) = found.remove(&id) else {
        return Ok(None);
    };
    let bytes = id.to_bytes().to_vec();
    let mut row = None;
    if let Some(seq) = seq {
        let look = query(LOOK).bind(seq).bind(bytes.clone());
        row = look.fetch_optional(&mut *conn).await?;
    }
    if row.is_none() {
        let look = query(LOOK_AT_SEEN).bind(k.to_vec()).bind(bytes);
        row = look.fetch_optional(&mut *conn).await?;
    }
    let Some(row) = row else {
        return Ok(None);
    };
    let record = Record::new(read_summary(&row, now)?);
    let body: Option<Vec<u8>> = row.try_get(15)?;
    let meta: Option<Vec<u8>> = row.try_get(16)?;
    let (Some(body), Some(meta)) = (body, meta) else {
        return Ok(Some(record));
    };
    let failures = query(
        "SELECT attempt, at, error FROM tower_callback_failure WHERE seq = ?1 ORDER BY n DESC",
    )
    .bind(row.try_get::<i64, _>(13)?)
    .fetch_all(conn)
    .await?;
    let failures: Result<_, sqlx::Error> =
        failures.iter().map(|row| read_failure(row, now)).collect();
    Ok(Some(
        record.with_payload(body, meta).with_failures(failures?),
    ))
}

fn read_failure(row: &SqliteRow, now: i64) -> Result<FailedAttempt, sqlx::Error> {
    let ago = between(row.try_get(1)?, now);
    let error: String = row.try_get(2)?;
    Ok(FailedAttempt::new(row.try_get(0)?, ago, error))
}

/// From one time to a later one.
fn between(from: i64, to: i64) -> Duration {
    Duration::from_millis(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}
