//! What a spool needs of the file: to look at what waits without leasing it, and to take it out when
//! it is somewhere else.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{
    Shared, SqliteStore,
    db_error::store_error,
    queues::Queues,
    rows::{self, KeyHash},
    schema,
};
use crate::store::{NewRecord, Queue, QueueKind, RecordId, StoreError};

/// A record as it was inserted, but for the time that it has waited.
pub(in crate::store) struct Waiting {
    /// Its place: what came first, or what it replaced, has the lowest.
    pub(in crate::store) seq: i64,
    pub(in crate::store) record: NewRecord,
}

/// What became of a record that waited.
pub(in crate::store) struct Outcome {
    pub(in crate::store) seq: i64,
    /// What was looked at: a record that was replaced since then stays.
    pub(in crate::store) id: RecordId,
    pub(in crate::store) fate: Fate,
}

pub(in crate::store) enum Fate {
    /// It is kept somewhere else.
    Gone,
    /// Nobody takes it: it stays as a dead letter, with the reason.
    Dead(String),
}

/// The oldest that are not dead, after `?1`: at most `?2`, and as many as begin within `?3` bytes.
const WAITING: &str = "
SELECT w.seq, q.endpoint, q.kind, r.id, p.key, r.rank, p.body, p.meta, r.due,
    (SELECT max(clock) FROM tower_callback_queue)
FROM (
    SELECT seq, sum(bytes) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - bytes AS before
    FROM (
        SELECT r.seq, length(p.key) + length(p.body) + length(p.meta) AS bytes
        FROM tower_callback_record r NOT INDEXED
        CROSS JOIN tower_callback_payload p ON p.seq = r.seq
        WHERE r.seq > ?1 AND r.state < 3 ORDER BY r.seq LIMIT ?2
    )
) w
CROSS JOIN tower_callback_record r ON r.seq = w.seq
CROSS JOIN tower_callback_payload p ON p.seq = w.seq
CROSS JOIN tower_callback_queue q ON q.id = r.queue
WHERE w.before < ?3 ORDER BY w.seq";

/// Which of packed hashes (`?1`, `?2` of them) wait.
const KNOWN: &str = "
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
SELECT n.i FROM n CROSS JOIN tower_callback_record r INDEXED BY tower_callback_key
    ON r.k = substr(?1, n.i * 16 + 1, 16) AND r.state < 4
WHERE +r.state < 3";

/// Rows as a JSON array, their ids packed in the same order.
const GONE: &str = "
DELETE FROM tower_callback_record WHERE seq IN (
    SELECT r.seq FROM json_each(?1) j CROSS JOIN tower_callback_record r ON r.seq = j.value
    WHERE r.id = substr(?2, j.key * 16 + 1, 16) AND r.state < 3)
RETURNING queue";

/// Rows and reasons as a JSON array of pairs, their ids packed in the same order.
const DEAD: &str = "
UPDATE tower_callback_record AS r SET
    state = 3, due = NULL, lease_until = NULL, next_due = NULL, at = ?3, error = (j.value ->> 1)
FROM json_each(?1) j
WHERE r.seq = (j.value ->> 0) AND r.id = substr(?2, j.key * 16 + 1, 16) AND r.state < 3
RETURNING queue";

const COUNT: &str = "
SELECT
    (SELECT coalesce(sum(live), 0) FROM tower_callback_queue),
    (SELECT count(*) FROM tower_callback_record INDEXED BY tower_callback_kept
        WHERE state = 3 AND at IS NOT NULL)";

impl SqliteStore {
    /// Records that wait, of every queue, oldest first, after the place `after`. Whether they are due
    /// does not matter: how long they still have is in them.
    pub(in crate::store) async fn waiting(
        &self,
        after: i64,
        records: usize,
        bytes: u64,
    ) -> Result<Vec<Waiting>, StoreError> {
        let shared: &Shared = &self.0;
        let mut held = shared.connections.reader().await?;
        let rows = query(WAITING)
            .bind(after)
            .bind(i64::try_from(records).unwrap_or(i64::MAX))
            .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
            .fetch_all(held.conn())
            .await
            .map_err(store_error);
        let rows = shared.connections.finish(held, rows)?;
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let written = first.try_get(9).map_err(store_error)?;
        let now = shared.clock.at_least(written);
        let read = rows.iter().map(|row| read(row, now));
        read.collect::<Result<_, _>>().map_err(store_error)
    }

    /// Which of the records have a key that waits.
    pub(in crate::store) async fn has_waiting(
        &self,
        records: &[NewRecord],
    ) -> Result<Vec<bool>, StoreError> {
        let shared: &Shared = &self.0;
        let hashes: Vec<KeyHash> = records
            .iter()
            .map(|record| rows::key_hash(&record.queue, &record.key))
            .collect();
        let mut held = shared.connections.reader().await?;
        let rows = query(KNOWN)
            .bind(hashes.concat())
            .bind(i64::try_from(hashes.len()).unwrap_or(i64::MAX))
            .fetch_all(held.conn())
            .await
            .map_err(store_error);
        let mut known = vec![false; records.len()];
        for row in shared.connections.finish(held, rows)? {
            let index: i64 = row.try_get(0).map_err(store_error)?;
            if let Some(known) = usize::try_from(index).ok().and_then(|i| known.get_mut(i)) {
                *known = true;
            }
        }
        Ok(known)
    }

    /// Takes out what need not wait any more.
    pub(in crate::store) async fn take_out(&self, outcomes: &[Outcome]) -> Result<(), StoreError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let shared: &Shared = &self.0;
        let mut held = shared.connections.writer().await?;
        let done = take_out(held.conn(), outcomes, shared.clock.now()).await;
        shared.connections.finish(held, done.map_err(store_error))
    }

    /// How many wait, and how many are dead.
    pub(in crate::store) async fn count_waiting(&self) -> Result<(u64, u64), StoreError> {
        let shared: &Shared = &self.0;
        let mut held = shared.connections.reader().await?;
        let row = query(COUNT)
            .fetch_one(held.conn())
            .await
            .map_err(store_error);
        let row = shared.connections.finish(held, row)?;
        let count = |index: usize| -> Result<u64, StoreError> {
            let count: i64 = row.try_get(index).map_err(store_error)?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        Ok((count(0)?, count(1)?))
    }
}

fn read(row: &SqliteRow, now: i64) -> Result<Waiting, sqlx::Error> {
    let endpoint: String = row.try_get(1)?;
    let kind = match row.try_get(2)? {
        "events" => QueueKind::Events,
        "tracked" => QueueKind::Tracked,
        "quarantine" => QueueKind::Quarantine,
        other => {
            let message = format!("there is no kind of queue called {other:?}");
            return Err(sqlx::Error::Decode(message.into()));
        }
    };
    let key: Vec<u8> = row.try_get(4)?;
    let body: Vec<u8> = row.try_get(6)?;
    let meta: Vec<u8> = row.try_get(7)?;
    let due: Option<i64> = row.try_get(8)?;
    let left = due.map_or(0, |due| due.saturating_sub(now));
    let mut record = NewRecord::new(Queue::new(endpoint, kind), key, body)
        .with_rank(row.try_get(5)?)
        .with_meta(meta)
        .with_due_in(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
    record.id = rows::id(row.try_get(3)?)?;
    Ok(Waiting {
        seq: row.try_get(0)?,
        record,
    })
}

async fn take_out(
    conn: &mut SqliteConnection,
    outcomes: &[Outcome],
    now: i64,
) -> Result<(), sqlx::Error> {
    let (mut gone, mut dead) = (Vec::new(), Vec::new());
    let (mut gone_ids, mut dead_ids) = (Vec::new(), Vec::new());
    for Outcome { seq, id, fate } in outcomes {
        match fate {
            Fate::Gone => {
                gone.push(*seq);
                gone_ids.extend(id.to_bytes());
            }
            Fate::Dead(reason) => {
                dead.push((seq, reason));
                dead_ids.extend(id.to_bytes());
            }
        }
    }
    query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    schema::check_under_lock(conn).await?;
    let mut queues = Queues::default();
    let mut changed = Vec::new();
    if !gone.is_empty() {
        let statement = query(GONE).bind(rows::json_array(gone)).bind(gone_ids);
        changed.extend(statement.fetch_all(&mut *conn).await?);
    }
    if !dead.is_empty() {
        let dead = serde_json::to_string(&dead).map_err(|e| sqlx::Error::Encode(e.into()))?;
        let statement = query(DEAD).bind(dead).bind(dead_ids).bind(now);
        changed.extend(statement.fetch_all(&mut *conn).await?);
    }
    for row in &changed {
        queues.change(row.try_get(0)?, -1);
    }
    queues.commit(conn, now).await
}
