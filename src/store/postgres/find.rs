//! What is known of a key.

use sqlx::{Row, postgres::PgRow, query};

use super::{Shared, db_error::store_error, rows};
use crate::store::{Found, Queue, StoreError, hash};

pub(super) async fn find(
    shared: &Shared,
    queue: &Queue,
    key: &[u8],
) -> Result<Option<Found>, StoreError> {
    let found = shared
        .calls
        .rows(query(shared.statements.find.sql()).bind(hash::key_hash(queue, key)))
        .await?;
    let found = found.first().map(read).transpose();
    found.map_err(store_error)
}

fn read(row: &PgRow) -> Result<Found, sqlx::Error> {
    let seq: i64 = row.try_get(0)?;
    let settled_by: Option<i64> = row.try_get(4)?;
    let error: Option<&str> = row.try_get(7)?;
    let found = Found::new(rows::id(row, 1)?, rows::rank(row, 2)?, rows::state(row, 3)?)
        .with_settled_by(settled_by.map(|random| rows::token(seq, random)))
        .with_error(error);
    let body: Option<Vec<u8>> = row.try_get(5)?;
    let meta: Option<Vec<u8>> = row.try_get(6)?;
    Ok(match (body, meta) {
        (Some(body), Some(meta)) => found.with_payload(body, meta),
        _ => found,
    })
}
