//! Leasing.

use std::time::Duration;

use redis::Value;

use super::{
    Shared,
    layout::{self, Stored, damaged, since},
    scripts::{Arg, LEASE},
};
use crate::store::{Lease, Leased, Queue, QueueKind, StoreError};

/// The most records of one lease, and about the most bytes: the server does nothing else meanwhile.
const MAX_RECORDS: usize = 1000;
const MAX_BYTES: u64 = 32 * 1024 * 1024;

pub(super) async fn lease(
    shared: &Shared,
    queue: &Queue,
    max: usize,
    ttl: Duration,
) -> Result<Vec<Leased>, StoreError> {
    let max = max.min(MAX_RECORDS);
    if max == 0 || queue.kind() == QueueKind::Quarantine {
        return Ok(Vec::new());
    }
    let name = layout::queue_name(queue);
    let random = layout::random_parts(max);
    let args = [
        Arg::Bytes(&name),
        Arg::Number(max as u64),
        // A moment at least: two leases of one record at one instant would be one too many.
        Arg::Number(layout::millis(ttl).max(1)),
        Arg::Bytes(&random),
        Arg::Number(MAX_BYTES),
    ];
    let answer = shared.rest.run(&shared.servers, &LEASE, &args).await;
    read(answer.map_err(StoreError::from)?, queue)
}

/// The time, and then for each record its sequence, its front by now, and all of it as it was.
fn read(answer: Value, queue: &Queue) -> Result<Vec<Leased>, StoreError> {
    let parts: Vec<Vec<u8>> = redis::from_redis_value(answer).map_err(StoreError::unavailable)?;
    let mut parts = parts.into_iter();
    let Some(now) = parts.next() else {
        return Ok(Vec::new());
    };
    let now = layout::number(&now)?;
    let mut leased = Vec::with_capacity(parts.len() / 3);
    while let (Some(seq), Some(head), Some(record)) = (parts.next(), parts.next(), parts.next()) {
        let record = Stored::read(&seq, &head, record)?;
        let token = record.token().ok_or_else(damaged)?;
        let lease = Lease::new(queue.clone(), record.id, token);
        leased.push(
            Leased::new(lease, record.key, record.rank, record.body, record.meta).with_history(
                record.attempt,
                record.expiries,
                since(record.born, now),
            ),
        );
    }
    Ok(leased)
}
