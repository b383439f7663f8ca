//! What is known of a key.

use super::{
    Shared,
    layout::{self, Remembered, Stored, damaged},
    scripts::{Arg, FIND},
};
use crate::store::{Found, Queue, State, StoreError, hash};

pub(super) async fn find(
    shared: &Shared,
    queue: &Queue,
    key: &[u8],
) -> Result<Option<Found>, StoreError> {
    let k = hash::key_hash(queue, key);
    let answer = shared
        .rest
        .run(&shared.servers, &FIND, &[Arg::Bytes(&k)])
        .await;
    let answer: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    let mut parts = answer.into_iter();
    let (now, value) = match (parts.next().flatten(), parts.next().flatten()) {
        (Some(now), Some(value)) => (layout::number(&now)?, value),
        _ => return Ok(None),
    };
    let Some(record) = parts.next().flatten() else {
        let known = Remembered::read(&value, &k)?;
        return Ok(Some(
            Found::new(known.id, known.rank, State::Done).with_settled_by(known.settled_by),
        ));
    };
    let head = record.get(..layout::HEAD).ok_or_else(damaged)?.to_vec();
    let record = Stored::read(&value, &head, record)?;
    // Another key with the same hash.
    if record.key != key {
        return Ok(None);
    }
    let failure = parts.next().flatten();
    let error = failure.as_deref().and_then(layout::failure_text);
    Ok(Some(
        Found::new(record.id, record.rank, record.state(now))
            .with_settled_by(record.settled_by())
            .with_payload(record.body, record.meta)
            .with_error(error),
    ))
}
