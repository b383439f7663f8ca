//! What an insert decides: an answer for each record, and what is to be written.

use std::collections::hash_map::Entry;

use sqlx::{Row, sqlite::SqliteRow};

use super::rows::{self, DEAD, DISOWNED, KeyHash, PENDING, QUARANTINED};
use crate::{
    event::Rank,
    store::{Inserted, NewRecord, QueueKind, RecordId, StoreError},
};

/// What is known of a key: before the batch, or after the records of the batch so far.
pub(super) struct Known {
    id: RecordId,
    rank: Rank,
    digest: i64,
    code: i64,
    lease_until: Option<i64>,
    key: Option<Vec<u8>>,
    place: Place,
}

/// Where the record of a key is.
enum Place {
    /// In a row.
    Row(i64),
    /// Only in `seen`, and its last token.
    Seen(Option<Vec<u8>>),
    /// In the plan.
    New(usize),
    Upgrade(usize),
}

/// What is to be written. Records by their index in the batch.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) new: Vec<NewRow>,
    pub(super) upgrades: Vec<Upgrade>,
}

pub(super) struct NewRow {
    pub(super) index: usize,
    /// Whether the key is in `seen`.
    pub(super) revives: bool,
    /// The last token, so that repeating its settlement is told from a lost lease.
    pub(super) token: Option<Vec<u8>>,
}

pub(super) struct Upgrade {
    pub(super) index: usize,
    pub(super) seq: i64,
    pub(super) was_dead: bool,
}

/// One record of a batch.
pub(super) struct Candidate<'a> {
    pub(super) index: usize,
    pub(super) record: &'a NewRecord,
    pub(super) digest: i64,
    /// Whether it takes from the capacity.
    pub(super) counted: bool,
}

pub(super) fn read_known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let code: i64 = row.try_get(1)?;
    let id: &[u8] = row.try_get(2)?;
    let token: Option<Vec<u8>> = row.try_get(5)?;
    let seq: Option<i64> = row.try_get(7)?;
    Ok(Known {
        id: rows::id(id)?,
        rank: row.try_get(3)?,
        digest: row.try_get(4)?,
        code,
        lease_until: row.try_get(6)?,
        key: row.try_get(8)?,
        place: seq.map_or(Place::Seen(token), Place::Row),
    })
}

/// The answer for one record, and what it adds to the plan.
pub(super) fn decide(
    plan: &mut Plan,
    room: &mut u64,
    entry: Entry<'_, KeyHash, Known>,
    candidate: &Candidate<'_>,
    now: i64,
) -> Result<Inserted, StoreError> {
    let &Candidate {
        index,
        record,
        digest,
        counted,
    } = candidate;
    let quarantine = record.queue.kind() == QueueKind::Quarantine;
    let mut entry = match entry {
        Entry::Occupied(entry) if entry.get().code != DISOWNED => entry,
        free => {
            if counted {
                if *room == 0 {
                    return Ok(Inserted::Full);
                }
                *room -= 1;
            }
            let mut row = NewRow {
                index,
                revives: false,
                token: None,
            };
            if let Entry::Occupied(disowned) = &free
                && let Place::Seen(token) = &disowned.get().place
            {
                row.revives = true;
                row.token.clone_from(token);
            }
            plan.new.push(row);
            free.insert_entry(Known {
                id: record.id,
                rank: record.rank,
                digest,
                code: if quarantine { QUARANTINED } else { PENDING },
                lease_until: None,
                key: Some(record.key.to_vec()),
                place: Place::New(plan.new.len() - 1),
            });
            return Ok(Inserted::Fresh);
        }
    };
    let known = entry.get_mut();
    if known.key.as_ref().is_some_and(|key| *key != record.key) {
        return Err(StoreError::rejected("two keys have the same hash"));
    }
    if known.id == record.id {
        return Ok(Inserted::Fresh);
    }
    if record.rank <= known.rank {
        return Ok(Inserted::Duplicate {
            id: known.id,
            rank: known.rank,
            state: rows::state(known.code, known.lease_until, now),
            differs: known.digest != digest,
        });
    }
    known.id = record.id;
    known.rank = record.rank;
    known.digest = digest;
    match &mut known.place {
        Place::New(place) => plan.new[*place].index = index,
        Place::Upgrade(place) => plan.upgrades[*place].index = index,
        Place::Row(seq) => {
            let was_dead = known.code == DEAD;
            plan.upgrades.push(Upgrade {
                index,
                seq: *seq,
                was_dead,
            });
            known.place = Place::Upgrade(plan.upgrades.len() - 1);
            if was_dead {
                known.code = PENDING;
                // It finds its place in a full store too, and takes it from what is new.
                *room = room.saturating_sub(u64::from(counted));
            }
        }
        Place::Seen(token) => {
            plan.new.push(NewRow {
                index,
                revives: true,
                token: token.take(),
            });
            known.place = Place::New(plan.new.len() - 1);
            known.code = PENDING;
            *room = room.saturating_sub(u64::from(counted));
        }
    }
    Ok(Inserted::Upgraded)
}
