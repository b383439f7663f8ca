//! Looking in.

use std::{collections::HashMap, time::Duration};

use sqlx::{Row, postgres::PgRow, query};

use super::{Shared, db_error::store_error, insert::PAUSES, rows, statements::Text};
use crate::store::{
    Queue, QueueKind, RecordId, State, StoreError,
    inspect::{Counts, Cursor, Deleted, FailedAttempt, Listing, Page, Record, Requeued, Summary},
};

/// So many done records are counted: what is remembered for weeks is more than can be counted at each look.
const MOST_DONE: i64 = 1_000_000;

pub(super) async fn counts(shared: &Shared, queue: &Queue) -> Result<Counts, StoreError> {
    let found = shared
        .calls
        .rows(
            query(shared.statements.counts.sql())
                .bind(queue.endpoint())
                .bind(queue.kind().as_str())
                .bind(MOST_DONE),
        )
        .await?;
    let mut counts = Counts {
        dropped: shared.dropped(queue),
        ..Counts::default()
    };
    let Some(row) = found.first() else {
        return Ok(counts);
    };
    let count = |index: usize| -> Result<u64, StoreError> {
        let count: i64 = row.try_get(index).map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    counts.leased = count(1)?;
    counts.pending = count(0)?.saturating_sub(counts.leased);
    counts.dead = count(2)?;
    counts.done = count(3)?;
    let oldest: Option<i64> = row.try_get(4).map_err(store_error)?;
    counts.oldest_due = oldest.map(rows::duration);
    Ok(counts)
}

pub(super) async fn queues(shared: &Shared) -> Result<Vec<Queue>, StoreError> {
    let found = shared
        .calls
        .rows(query(shared.statements.queues.sql()))
        .await?;
    let mut queues = Vec::with_capacity(found.len());
    for row in &found {
        let endpoint: &str = row.try_get(0).map_err(store_error)?;
        let kind: &str = row.try_get(1).map_err(store_error)?;
        let kinds = [QueueKind::Events, QueueKind::Quarantine, QueueKind::Tracked];
        // What a later release knows is not for this one.
        if let Some(kind) = kinds.into_iter().find(|known| known.as_str() == kind) {
            queues.push(Queue::new(endpoint, kind));
        }
    }
    Ok(queues)
}

/// The parts of a list, in order.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Alive,
    Quarantine,
    Dead,
    Done,
}

impl Part {
    const ALL: [Self; 4] = [Self::Alive, Self::Quarantine, Self::Dead, Self::Done];

    fn holds(self, state: Option<State>) -> bool {
        match state {
            None => true,
            Some(State::Pending) => matches!(self, Self::Alive | Self::Quarantine),
            Some(State::Leased) => self == Self::Alive,
            Some(State::Dead) => self == Self::Dead,
            Some(State::Done) => self == Self::Done,
        }
    }

    /// Where it begins.
    fn start(self) -> (i64, i64) {
        match self {
            Self::Alive | Self::Quarantine => (i64::MIN, i64::MIN),
            Self::Dead | Self::Done => (i64::MAX, i64::MAX),
        }
    }
}

/// A place: the part, and the last record's time and number.
fn write(part: usize, (time, seq): (i64, i64)) -> Cursor {
    let mut bytes = vec![u8::try_from(part).unwrap_or(u8::MAX)];
    bytes.extend(time.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    Cursor::from_bytes(bytes)
}

fn read(cursor: &Cursor) -> Option<(usize, (i64, i64))> {
    let (&part, numbers) = cursor.as_bytes().split_first()?;
    let (numbers, rest) = numbers.as_chunks::<8>();
    let [time, seq] = numbers else { return None };
    let part = usize::from(part);
    (rest.is_empty() && part < Part::ALL.len())
        .then(|| (part, (i64::from_be_bytes(*time), i64::from_be_bytes(*seq))))
}

/// One part at a time: a page ends with it.
pub(super) async fn list(
    shared: &Shared,
    queue: &Queue,
    listing: &Listing,
) -> Result<Page, StoreError> {
    let (mut part, mut place) = match &listing.after {
        None => (0, Part::ALL[0].start()),
        Some(cursor) => {
            read(cursor).ok_or_else(|| StoreError::rejected("the cursor is not this store's"))?
        }
    };
    while let Some(&kind) = Part::ALL.get(part) {
        if kind.holds(listing.state) {
            let (records, last) = read_part(shared, queue, listing, kind, place).await?;
            let full = last.is_some();
            if full || !records.is_empty() {
                let next = match last {
                    Some(last) => Some(write(part, last)),
                    None => {
                        following(part, listing).map(|part| write(part, Part::ALL[part].start()))
                    }
                };
                return Ok(Page::new(records, next));
            }
        }
        part += 1;
        if let Some(kind) = Part::ALL.get(part) {
            place = kind.start();
        }
    }
    Ok(Page::default())
}

fn following(part: usize, listing: &Listing) -> Option<usize> {
    (part + 1..Part::ALL.len()).find(|&part| Part::ALL[part].holds(listing.state))
}

type Read = (Vec<Summary>, Option<(i64, i64)>);

/// Records of a part, and where they ended if there may be more.
async fn read_part(
    shared: &Shared,
    queue: &Queue,
    listing: &Listing,
    part: Part,
    (time, seq): (i64, i64),
) -> Result<Read, StoreError> {
    let statements = &shared.statements;
    let statement = match part {
        Part::Alive => &statements.list_alive,
        Part::Quarantine => &statements.list_quarantine,
        Part::Dead | Part::Done => &statements.list_settled,
    };
    let limit = listing.limit();
    let mut asked = query(statement.sql())
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(time)
        .bind(seq);
    match part {
        Part::Alive | Part::Quarantine => {}
        Part::Dead => asked = asked.bind(3i16),
        Part::Done => asked = asked.bind(4i16),
    }
    let found = shared.calls.rows(asked).await?;
    let mut records = Vec::with_capacity(found.len());
    for row in &found {
        let summary = summary(row).map_err(store_error)?;
        if listing.state.is_none_or(|state| state == summary.state) {
            records.push(summary);
        }
    }
    let last = match found.last() {
        Some(row) if found.len() == limit => Some((
            row.try_get(1).map_err(store_error)?,
            row.try_get(0).map_err(store_error)?,
        )),
        _ => None,
    };
    Ok((records, last))
}

fn summary(row: &PgRow) -> Result<Summary, sqlx::Error> {
    let mut summary = Summary::new(rows::id(row, 2)?, rows::rank(row, 3)?, rows::state(row, 4)?);
    let key: Option<Vec<u8>> = row.try_get(5)?;
    summary.key = key.map(Into::into);
    summary.attempts = rows::count(row, 6)?;
    summary.expiries = rows::count(row, 7)?;
    let times: [Option<i64>; 3] = [row.try_get(8)?, row.try_get(9)?, row.try_get(10)?];
    [summary.age, summary.due_in, summary.settled] = times.map(|time| time.map(rows::duration));
    summary.error = row.try_get(11)?;
    Ok(summary)
}

pub(super) async fn look(
    shared: &Shared,
    queue: &Queue,
    id: RecordId,
) -> Result<Option<Record>, StoreError> {
    let found = shared
        .calls
        .rows(
            query(shared.statements.look.sql())
                .bind(queue.endpoint())
                .bind(queue.kind().as_str())
                .bind(id.to_bytes()),
        )
        .await?;
    let record = found.first().map(record).transpose();
    record.map_err(store_error)
}

fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    let attempts: Vec<i32> = row.try_get(14)?;
    let ages: Vec<i64> = row.try_get(15)?;
    let errors: Vec<String> = row.try_get(16)?;
    let failures = attempts.into_iter().zip(ages).zip(errors);
    let failures = failures.map(|((attempt, ago), error)| {
        FailedAttempt::new(
            u32::try_from(attempt).unwrap_or(0),
            rows::duration(ago),
            error,
        )
    });
    let record = Record::new(summary(row)?).with_failures(failures.collect());
    let body: Option<Vec<u8>> = row.try_get(12)?;
    let meta: Option<Vec<u8>> = row.try_get(13)?;
    Ok(match (body, meta) {
        (Some(body), Some(meta)) => record.with_payload(body, meta),
        _ => record,
    })
}

pub(super) async fn requeue(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Requeued>, StoreError> {
    let mut told = change(shared, &shared.statements.requeue, queue, ids).await?;
    Ok(ids
        .iter()
        .map(|id| match told.get_mut(id) {
            None => Requeued::Unknown,
            Some(2) => Requeued::Pending,
            Some(3) => Requeued::Leased,
            Some(4) => Requeued::Gone,
            Some(&mut HELD) => Requeued::Busy,
            Some(told) => {
                // Asked for twice, it was pending the second time.
                *told = 2;
                Requeued::Applied
            }
        })
        .collect())
}

pub(super) async fn delete(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Deleted>, StoreError> {
    let mut told = change(shared, &shared.statements.delete, queue, ids).await?;
    Ok(ids
        .iter()
        .map(|id| match told.get(id) {
            None => Deleted::Unknown,
            Some(3) => Deleted::Leased,
            Some(&HELD) => Deleted::Busy,
            Some(_) => {
                // Asked for twice, it was unknown the second time.
                told.remove(id);
                Deleted::Applied
            }
        })
        .collect())
}

/// What became of each id. What somebody holds is tried again for a moment, as at an insert.
async fn change(
    shared: &Shared,
    statement: &Text,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, i16>, StoreError> {
    let mut told = HashMap::with_capacity(ids.len());
    let mut todo = ids.to_vec();
    for pause in PAUSES {
        if todo.is_empty() {
            break;
        }
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let answers = change_once(shared, statement, queue, &todo).await?;
        todo.retain(|id| answers.get(id) == Some(&HELD));
        told.extend(answers);
    }
    Ok(told)
}

/// The answer where somebody holds the record.
const HELD: i16 = 5;

async fn change_once(
    shared: &Shared,
    statement: &Text,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, i16>, StoreError> {
    let found = shared
        .calls
        .rows(
            query(statement.sql())
                .bind(queue.endpoint())
                .bind(queue.kind().as_str())
                .bind(ids.iter().map(|id| id.to_bytes()).collect::<Vec<_>>())
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
        )
        .await?;
    found
        .iter()
        .map(|row| Ok((rows::id(row, 0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(store_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_cursor_and_nothing_else_is_one() {
        let place = (3, (-7, i64::MAX));
        assert_eq!(read(&write(place.0, place.1)), Some(place));
        for bytes in [&[][..], &[0], &[0; 16], &[0; 18], &[4; 17]] {
            assert_eq!(read(&Cursor::from_bytes(bytes.to_vec())), None, "{bytes:?}");
        }
    }
}
