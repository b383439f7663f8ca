//! Inserting.

use super::{
    Shared,
    connection::RunError,
    layout::{self, damaged},
    scripts::{Arg, INSERT, INSERT_FULL},
};
use crate::store::{Inserted, NewRecord, Queue, RecordId, State, StoreError};

/// The longest meta that is stored.
const MAX_META: usize = 16 * 1024;
/// The longest value that a server takes by default, and some room for what stands before it.
const MAX_RECORD: usize = 512 * 1024 * 1024 - 64 * 1024;
/// The most that one script writes: the server does nothing else meanwhile.
const MAX_RECORDS: usize = 1000;
const MAX_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn insert(
    shared: &Shared,
    records: &[NewRecord],
) -> Result<Vec<Inserted>, StoreError> {
    for record in records {
        if record.meta.len() > MAX_META {
            return Err(StoreError::rejected("the meta of a record is too long"));
        }
        if record.body.len() + record.key.len() > MAX_RECORD {
            return Err(StoreError::rejected("a record is too large for Redis"));
        }
    }
    let mut answers = Vec::with_capacity(records.len());
    let mut rest = records;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunk_len(rest));
        answers.extend(insert_chunk(shared, chunk).await?);
        rest = after;
    }
    Ok(answers)
}

/// How many of the first records go into one script.
fn chunk_len(records: &[NewRecord]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(MAX_RECORDS).take_while(|record| {
        bytes += record.body.len() + record.meta.len() + record.key.len();
        bytes <= MAX_BYTES
    });
    fits.count().max(1)
}

async fn insert_chunk(shared: &Shared, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
    let mut queues: Vec<&Queue> = Vec::new();
    let mut places = Vec::with_capacity(records.len() * 8);
    for record in records {
        let known = queues.iter().position(|queue| **queue == record.queue);
        let index = known.unwrap_or_else(|| {
            queues.push(&record.queue);
            queues.len() - 1
        });
        // At most as many queues as records, which are 1,000 at most.
        let index = u16::try_from(index + 1).map_err(StoreError::rejected)?;
        places.extend_from_slice(&index.to_be_bytes());
        places.extend_from_slice(&layout::six(layout::millis(record.due_in)));
    }
    let contents: Vec<Vec<u8>> = records.iter().map(layout::content).collect();
    let names: Vec<Vec<u8>> = queues.into_iter().map(layout::queue_name).collect();

    let mut args = vec![
        Arg::Number(0),
        Arg::Number(u64::from(shared.servers.waits())),
        Arg::Number(shared.capacity),
        Arg::Number(shared.quarantine),
        Arg::Number(names.len() as u64),
    ];
    args.extend(names.iter().map(|name| Arg::Bytes(name)));
    args.push(Arg::Bytes(&places));
    args.extend(contents.iter().map(|content| Arg::Bytes(content)));
    let lane = &shared.inserts;
    let answer = match lane.run_on_one(&shared.servers, &INSERT, &args).await {
        Err(error) if error.is_out_of_memory() => {
            args[0] = Arg::Number(1);
            lane.run_on_one(&shared.servers, &INSERT_FULL, &args).await
        }
        answer => answer,
    };
    let (wrote, answer) = answer.map_err(StoreError::from)?;
    lane.wait_for_replicas(&shared.servers, &wrote).await?;
    let answers: Vec<Vec<u8>> =
        redis::from_redis_value(answer).map_err(|error| RunError::Server(error.into()))?;
    let [answers] = answers.as_slice() else {
        return Err(damaged());
    };
    read(answers, records.len())
}

fn read(mut bytes: &[u8], count: usize) -> Result<Vec<Inserted>, StoreError> {
    let mut answers = Vec::with_capacity(count);
    while let Some((&code, rest)) = bytes.split_first() {
        bytes = rest;
        answers.push(match code {
            b'F' => Inserted::Fresh,
            b'U' => Inserted::Upgraded,
            b'X' => Inserted::Full,
            _ => {
                let Some((known, rest)) = bytes.split_first_chunk::<20>() else {
                    return Err(damaged());
                };
                bytes = rest;
                let [state, differs, high, low, id @ ..] = *known;
                Inserted::Duplicate {
                    id: RecordId::from_bytes(id),
                    rank: u16::from_be_bytes([high, low]),
                    state: match state {
                        b'L' => State::Leased,
                        b'D' => State::Done,
                        b'X' => State::Dead,
                        _ => State::Pending,
                    },
                    differs: differs != 0,
                }
            }
        });
    }
    if answers.len() == count {
        Ok(answers)
    } else {
        Err(damaged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_by_count_and_by_bytes_and_never_to_nothing() {
        let record = |len: usize| NewRecord::new(Queue::events("e"), "key", vec![0; len]);
        assert_eq!(chunk_len(&vec![record(1); 1001]), 1000);
        assert_eq!(chunk_len(&vec![record(1024 * 1024); 10]), 3);
        assert_eq!(chunk_len(&[record(5 * 1024 * 1024), record(1)]), 1);
    }
}
