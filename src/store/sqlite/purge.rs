//! Forgetting, in bounded steps and in the order of settlement.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query};

use super::{
    Shared,
    clock::ceil_millis,
    db_error::store_error,
    queues::Queues,
    rows::{DEAD, DONE, QUARANTINED},
    schema,
};
use crate::store::{Purged, Retention, StoreError};

/// The most rows of a kind that one step takes, so that inserts need not wait long.
const STEP: i64 = 500;

/// Whether there is anything to do: `?1` bodies, `?2` dead, `?3` quarantine, `?4` keys.
const PROBE: &str = "
SELECT
    EXISTS (SELECT 1 FROM tower_callback_record WHERE state = 4 AND at <= ?1),
    EXISTS (SELECT 1 FROM tower_callback_record WHERE state = 3 AND at <= ?2),
    EXISTS (SELECT 1 FROM tower_callback_record WHERE state = 2 AND at <= ?3),
    EXISTS (SELECT 1 FROM tower_callback_seen WHERE at <= ?4)";

const ROWS: &str = "
DELETE FROM tower_callback_record WHERE seq IN (
    SELECT seq FROM tower_callback_record WHERE state = ?1 AND at <= ?2 ORDER BY at LIMIT ?3)
RETURNING queue";

/// A key that is forgotten takes its body along, if that is still kept.
const KEYS: &str = "
DELETE FROM tower_callback_record WHERE seq IN (
    SELECT r.seq FROM
        (SELECT s.seq, s.k FROM tower_callback_seen s
        WHERE s.at <= ?1 ORDER BY s.at, s.k LIMIT ?2) AS s
    CROSS JOIN tower_callback_record r ON r.seq = s.seq AND +r.k = s.k
    WHERE r.state = 4);
DELETE FROM tower_callback_seen WHERE k IN (
    SELECT s.k FROM tower_callback_seen s WHERE s.at <= ?1 ORDER BY s.at, s.k LIMIT ?2)
RETURNING state";

pub(super) async fn purge(shared: &Shared, retention: &Retention) -> Result<Purged, StoreError> {
    let now = shared.clock.now();
    let before = |age: Duration| now.saturating_sub(ceil_millis(age));
    let ages = [
        before(retention.bodies),
        before(retention.dead),
        before(retention.quarantine),
        before(retention.keys),
    ];
    let mut held = shared.connections.reader().await?;
    let mut probe = query(PROBE);
    for age in ages {
        probe = probe.bind(age);
    }
    let probe = probe.fetch_one(held.conn()).await.map_err(store_error);
    let probe = shared.connections.finish(held, probe)?;
    let mut to_do = [false; 4];
    for (index, to_do) in to_do.iter_mut().enumerate() {
        *to_do = probe.try_get(index).map_err(store_error)?;
    }
    if to_do == [false; 4] {
        return Ok(Purged::default());
    }

    let mut held = shared.connections.writer().await?;
    let purged = run(held.conn(), ages, now).await.map_err(store_error);
    shared.connections.finish(held, purged)
}

async fn run(conn: &mut SqliteConnection, ages: [i64; 4], now: i64) -> Result<Purged, sqlx::Error> {
    let [bodies, dead, quarantine, keys] = ages;
    query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    schema::check_under_lock(conn).await?;
    let mut queues = Queues::default();
    let mut records = 0;
    let mut more = false;
    // Keys first: what is forgotten as a whole counts once.
    let gone = query(KEYS)
        .bind(keys)
        .bind(STEP)
        .fetch_all(&mut *conn)
        .await?;
    more |= gone.len() as i64 == STEP;
    for row in &gone {
        // Remembered tokens of what was disowned are nobody's records.
        records += u64::from(row.try_get::<i64, _>(0)? == DONE);
    }
    for (state, before) in [(DONE, bodies), (DEAD, dead), (QUARANTINED, quarantine)] {
        let gone = query(ROWS)
            .bind(state)
            .bind(before)
            .bind(STEP)
            .fetch_all(&mut *conn)
            .await?;
        more |= gone.len() as i64 == STEP;
        records += gone.len() as u64;
        if state == QUARANTINED {
            for row in &gone {
                queues.change(row.try_get(0)?, -1);
            }
        }
    }
    queues.commit(conn, now).await?;
    Ok(Purged::new(records, more))
}
