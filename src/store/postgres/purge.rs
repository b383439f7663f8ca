//! Forgetting, in bounded steps and in the order of settlement.

use sqlx::{Row, query};

use super::{Shared, db_error::store_error, rows};
use crate::store::{Purged, Retention, StoreError};

/// The most records of a kind that one step takes: a transaction that ends soon.
const STEP: i64 = 500;

pub(super) async fn purge(shared: &Shared, retention: &Retention) -> Result<Purged, StoreError> {
    let told = shared
        .calls
        .rows(
            query(shared.statements.purge.sql())
                .bind(rows::millis(retention.bodies))
                .bind(rows::millis(retention.dead))
                .bind(rows::millis(retention.quarantine))
                .bind(rows::millis(retention.keys))
                .bind(STEP)
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
        )
        .await?;
    let Some(row) = told.first() else {
        return Ok(Purged::default());
    };
    let records: i64 = row.try_get(0).map_err(store_error)?;
    let more = row.try_get(1).map_err(store_error)?;
    Ok(Purged::new(u64::try_from(records).unwrap_or(0), more))
}
