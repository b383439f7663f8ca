//! Forgetting, in bounded steps and in the order of settlement.

#[cfg(any(test, feature = "testing"))]
use super::scripts::CLEAR;
use super::{
    Shared, layout,
    scripts::{Arg, PURGE},
};
use crate::store::{Purged, Retention, StoreError};

/// The most records of a kind that one step takes, so that inserts need not wait long.
const STEP: u64 = 500;

/// Removes everything that the store has, step by step.
#[cfg(any(test, feature = "testing"))]
pub(super) async fn clear(shared: &Shared) -> Result<(), StoreError> {
    let mut cursor = "0".to_owned();
    loop {
        let args = [Arg::Bytes(cursor.as_bytes())];
        let answer = shared.rest.run(&shared.servers, &CLEAR, &args).await;
        cursor = redis::from_redis_value(answer.map_err(StoreError::from)?)
            .map_err(StoreError::unavailable)?;
        if cursor == "0" {
            return Ok(());
        }
    }
}

pub(super) async fn purge(shared: &Shared, retention: &Retention) -> Result<Purged, StoreError> {
    let ages = [
        retention.bodies,
        retention.keys,
        retention.dead,
        retention.quarantine,
    ];
    let mut args: Vec<Arg<'_>> = ages.map(|age| Arg::Number(layout::millis(age))).into();
    args.push(Arg::Number(STEP));
    let answer = shared.rest.run(&shared.servers, &PURGE, &args).await;
    let (records, more): (u64, bool) = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    Ok(Purged::new(records, more))
}
