//! Counting.

use sqlx::{Row, query};

use super::{Shared, db_error::store_error};
use crate::store::{Counts, Queue, StoreError};

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
        WHERE +s.queue = q.id AND s.state = 4)";

pub(super) async fn counts(shared: &Shared, queue: &Queue) -> Result<Counts, StoreError> {
    let mut held = shared.connections.reader().await?;
    let row = query(COUNT)
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .bind(shared.clock.now())
        .fetch_one(held.conn())
        .await
        .map_err(store_error);
    let row = shared.connections.finish(held, row)?;
    let count = |index: usize| -> Result<u64, StoreError> {
        let count: i64 = row.try_get(index).map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    let (waiting, leased, quarantined) = (count(0)?, count(1)?, count(2)?);
    Ok(Counts {
        pending: waiting - leased + quarantined,
        leased,
        dead: count(3)?,
        done: count(4)?,
        dropped: shared.dropped(queue),
    })
}
