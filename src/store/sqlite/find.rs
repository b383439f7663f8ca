//! What is known of a key.

use sqlx::{Row, query, sqlite::SqliteRow};

use super::{
    Shared,
    db_error::store_error,
    rows::{self, LEASED},
};
use crate::store::{Found, Queue, StoreError};

const FIND: &str = "
SELECT r.state, r.id, r.rank, r.token, r.lease_until, r.body, r.meta
FROM tower_callback_record r WHERE r.k = ?1 AND r.state < 4
UNION ALL
SELECT s.state, s.id, s.rank, s.token, NULL, r.body, r.meta
FROM tower_callback_seen s
LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
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
    let row = shared.finish(held, row)?;
    row.map(|row| read(&row, shared.clock.now()))
        .transpose()
        .map_err(store_error)
}

fn read(row: &SqliteRow, now: i64) -> Result<Found, sqlx::Error> {
    let code: i64 = row.try_get(0)?;
    let id = rows::id(row.try_get(1)?)?;
    let token: Option<&[u8]> = row.try_get(3)?;
    let found = Found::new(id, row.try_get(2)?, rows::state(code, row.try_get(4)?, now))
        // The token of a lease that goes on has settled nothing.
        .with_settled_by(match token {
            Some(token) if code != LEASED => Some(rows::token(token)?),
            _ => None,
        });
    let body: Option<Vec<u8>> = row.try_get(5)?;
    let meta: Option<Vec<u8>> = row.try_get(6)?;
    Ok(match (body, meta) {
        (Some(body), Some(meta)) => found.with_payload(body, meta),
        _ => found,
    })
}
