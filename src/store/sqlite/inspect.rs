//! Counting.

use sqlx::{Row, query};

use super::{Shared, db_error::store_error};
use crate::store::{Counts, Queue, StoreError};

const COUNT: &str = "
WITH q(id) AS (SELECT id FROM tower_callback_queue WHERE endpoint = ?1 AND kind = ?2)
SELECT
    (SELECT count(*) FROM tower_callback_record r, q WHERE r.queue = q.id
        AND (r.state IN (0, 2) OR r.state = 1 AND r.lease_until <= ?3)),
    (SELECT count(*) FROM tower_callback_record r, q WHERE r.queue = q.id
        AND r.state = 1 AND r.lease_until > ?3),
    (SELECT count(*) FROM tower_callback_seen s, q WHERE s.queue = q.id AND s.state = 4),
    (SELECT count(*) FROM tower_callback_record r, q WHERE r.queue = q.id AND r.state = 3)";

pub(super) async fn counts(shared: &Shared, queue: &Queue) -> Result<Counts, StoreError> {
    let mut held = shared.connections.reader().await?;
    let row = query(COUNT)
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .bind(shared.clock.now())
        .fetch_one(held.conn())
        .await
        .map_err(store_error);
    let row = shared.finish(held, row)?;
    let count = |index: usize| -> Result<u64, StoreError> {
        let count: i64 = row.try_get(index).map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    Ok(Counts {
        pending: count(0)?,
        leased: count(1)?,
        done: count(2)?,
        dead: count(3)?,
        dropped: shared.dropped(queue),
    })
}
