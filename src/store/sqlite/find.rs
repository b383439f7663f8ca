//! What is known of a key.

use sqlx::{Row, query, sqlite::SqliteRow};

use super::{Shared, db_error::store_error, rows};
use crate::store::{Found, Queue, StoreError};

const FIND: &str = "
SELECT r.state, r.id, r.rank, iif(r.state = 1, r.settled_by, r.token), r.lease_until,
    p.body, p.meta, r.error
FROM tower_callback_record r INDEXED BY tower_callback_key
CROSS JOIN tower_callback_payload p ON p.seq = r.seq
WHERE r.k = ?1 AND r.state < 4
UNION ALL
SELECT s.state, s.id, s.rank, s.token, NULL, p.body, p.meta, r.error
FROM tower_callback_seen s
LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
LEFT JOIN tower_callback_payload p ON p.seq = r.seq
WHERE s.k = ?1 AND s.state = 4
LIMIT 1";

pub(super) async fn find(
    shared: &Shared,
    queue: &Queue,
    key: &[u8],
) -> Result<Option<Found>, StoreError> {
    let mut held = shared.connections.reader().await?;
    let row = query(FIND)
        .bind(rows::key_hash(queue, key).to_vec())
        .fetch_optional(held.conn())
        .await
        .map_err(store_error);
    let row = shared.connections.finish(held, row)?;
    row.map(|row| read(&row, shared.clock.now()))
        .transpose()
        .map_err(store_error)
}

fn read(row: &SqliteRow, now: i64) -> Result<Found, sqlx::Error> {
    let id = rows::id(row.try_get(1)?)?;
    let state = rows::state(row.try_get(0)?, row.try_get(4)?, now);
    let settled_by: Option<&[u8]> = row.try_get(3)?;
    let found = Found::new(id, row.try_get(2)?, state)
        .with_settled_by(settled_by.map(rows::token).transpose()?)
        .with_error(row.try_get(7)?);
    let body: Option<Vec<u8>> = row.try_get(5)?;
    let meta: Option<Vec<u8>> = row.try_get(6)?;
    Ok(match (body, meta) {
        (Some(body), Some(meta)) => found.with_payload(body, meta),
        _ => found,
    })
}
