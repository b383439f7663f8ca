//! What operators change.

use super::{
    Shared,
    layout::{self, damaged},
    list::locate,
    scripts::{Arg, OPERATE},
};
use crate::store::{
    Queue, RecordId, StoreError,
    hash::KeyHash,
    inspect::{Deleted, Requeued},
};

/// The most records of one script: the server does nothing else meanwhile.
const MAX_RECORDS: usize = 500;

pub(super) async fn requeue(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Requeued>, StoreError> {
    let answers = operate(shared, queue, b"R", ids).await?;
    let answer = |code| match code {
        b'A' => Requeued::Applied,
        b'P' => Requeued::Pending,
        b'L' => Requeued::Leased,
        b'G' => Requeued::Gone,
        _ => Requeued::Unknown,
    };
    Ok(answers.into_iter().map(answer).collect())
}

pub(super) async fn delete(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Deleted>, StoreError> {
    let answers = operate(shared, queue, b"D", ids).await?;
    let answer = |code| match code {
        b'A' => Deleted::Applied,
        b'L' => Deleted::Leased,
        _ => Deleted::Unknown,
    };
    Ok(answers.into_iter().map(answer).collect())
}

async fn operate(
    shared: &Shared,
    queue: &Queue,
    order: &[u8],
    ids: &[RecordId],
) -> Result<Vec<u8>, StoreError> {
    let name = layout::queue_name(queue);
    let mut answers = Vec::with_capacity(ids.len());
    for ids in ids.chunks(MAX_RECORDS) {
        let located = locate(shared, queue, ids).await?;
        // A hash that no key has leads to no record.
        let places: Vec<([u8; 16], KeyHash)> = ids
            .iter()
            .map(|id| {
                let k = located.get(id).copied().unwrap_or_default();
                (id.to_bytes(), k)
            })
            .collect();
        let mut args = vec![Arg::Bytes(&name), Arg::Bytes(order)];
        for (id, k) in &places {
            args.extend([Arg::Bytes(id), Arg::Bytes(k)]);
        }
        let answer = shared.rest.run(&shared.servers, &OPERATE, &args).await;
        let answer: Vec<u8> = redis::from_redis_value(answer.map_err(StoreError::from)?)
            .map_err(StoreError::unavailable)?;
        if answer.len() != ids.len() {
            return Err(damaged());
        }
        answers.extend(answer);
    }
    Ok(answers)
}
