//! What operators are told of queues and of single records.

use std::time::Duration;

use super::{
    Shared,
    layout::{self, Remembered, Stored, damaged, since},
    list::locate,
    scripts::{Arg, COUNTS, LOOK, QUEUES},
};
use crate::store::{
    Queue, RecordId, State, StoreError,
    inspect::{Counts, FailedAttempt, Record, Summary},
};

pub(super) async fn counts(shared: &Shared, queue: &Queue) -> Result<Counts, StoreError> {
    let name = layout::queue_name(queue);
    let answer = shared
        .rest
        .run(&shared.servers, &COUNTS, &[Arg::Bytes(&name)])
        .await;
    let counts: Vec<i64> = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    if counts.is_empty() {
        return Ok(Counts::default());
    }
    let count = |index: usize| {
        counts
            .get(index)
            .and_then(|count| u64::try_from(*count).ok())
    };
    Ok(Counts {
        pending: count(0).unwrap_or(0),
        leased: count(1).unwrap_or(0),
        done: count(2).unwrap_or(0),
        dead: count(3).unwrap_or(0),
        dropped: count(4).unwrap_or(0),
        oldest_due: count(5).map(Duration::from_millis),
    })
}

pub(super) async fn queues(shared: &Shared) -> Result<Vec<Queue>, StoreError> {
    let answer = shared.rest.run(&shared.servers, &QUEUES, &[]).await;
    let names: Vec<Vec<u8>> = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    let mut queues = names
        .iter()
        .map(|name| layout::read_queue_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    queues.sort_by(|a, b| {
        let order = |queue: &Queue| queue.kind().as_str();
        (a.endpoint(), order(a)).cmp(&(b.endpoint(), order(b)))
    });
    Ok(queues)
}

pub(super) async fn look(
    shared: &Shared,
    queue: &Queue,
    id: RecordId,
) -> Result<Option<Record>, StoreError> {
    let located = locate(shared, queue, &[id]).await?;
    let Some(k) = located.get(&id) else {
        return Ok(None);
    };
    let answer = shared
        .rest
        .run(&shared.servers, &LOOK, &[Arg::Bytes(k)])
        .await;
    let parts: Vec<Vec<u8>> = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    let mut parts = parts.into_iter();
    let (Some(now), Some(value)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    let now = layout::number(&now)?;
    let Some(record) = parts.next() else {
        let known = Remembered::read(&value, k)?;
        let summary = remembered(&known, now);
        return Ok((known.id == id).then(|| Record::new(summary)));
    };
    let head = record.get(..layout::HEAD).ok_or_else(damaged)?.to_vec();
    let record = Stored::read(&value, &head, record)?;
    if record.id != id {
        return Ok(None);
    }
    let due = parts.next().filter(|score| !score.is_empty());
    let due = due.map(|score| layout::number(&score)).transpose()?;
    let failures: Vec<Vec<u8>> = parts.collect();
    let summary = summary(&record, due, failures.first().map(Vec::as_slice), now);
    let failures = failures.iter().filter_map(|failure| {
        let attempt = u32::from_be_bytes(*failure.get(6..)?.first_chunk()?);
        let error = layout::failure_text(failure)?;
        Some(FailedAttempt::new(
            attempt,
            since(layout::u48(failure, 0), now),
            error,
        ))
    });
    Ok(Some(
        Record::new(summary)
            .with_failures(failures.collect())
            .with_payload(record.body, record.meta),
    ))
}

/// What a list tells of a record that has its body, which is due, if at all, at `due`.
pub(super) fn summary(
    record: &Stored,
    due: Option<u64>,
    failure: Option<&[u8]>,
    now: u64,
) -> Summary {
    let state = record.state(now);
    let summary = Summary::new(record.id, record.rank, state)
        .with_key(record.key.clone())
        .with_history(
            record.attempt,
            record.expiries + record.expired(now),
            since(record.born, now),
        )
        .with_error(failure.and_then(layout::failure_text));
    match (state, due) {
        (State::Done | State::Dead, _) => summary.with_settled(since(record.settled_at, now)),
        (State::Pending | State::Leased, Some(due)) if !record.is_quarantined() => {
            summary.with_due_in(since(now, due))
        }
        _ => summary,
    }
}

/// What a list tells of a key whose body is gone.
pub(super) fn remembered(known: &Remembered, now: u64) -> Summary {
    Summary::new(known.id, known.rank, State::Done).with_settled(since(known.settled_at, now))
}
