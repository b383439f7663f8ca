//! Inserting: what is new in one statement, and what replaces something in another.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::{Row, query};

use super::{
    Shared,
    batch::{Batch, Fate, Standing},
    calls::Statement,
    db_error::{collision, store_error},
    rows,
};
use crate::store::{Inserted, NewRecord, Queue, QueueKind, StoreError, hash::KeyHash};

/// The longest meta that is stored.
const MAX_META: usize = 16 * 1024;

/// The longest body: the server's values end at 1 GiB, parameters and log records with them.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// Whoever is to be replaced and is held is tried again after these times: our own leases and
/// settlements hold a row for a moment, and for those nobody shall be turned away. An open
/// transaction of the user's holds it longer.
pub(super) const PAUSES: [u64; 5] = [0, 5, 15, 40, 80];

pub(super) async fn insert(
    shared: &Arc<Shared>,
    records: &[NewRecord],
) -> Result<Vec<Inserted>, StoreError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    if records.iter().any(|record| record.meta.len() > MAX_META) {
        return Err(StoreError::rejected("the meta of a record is too long"));
    }
    if records.iter().any(|record| record.body.len() > MAX_BODY) {
        return Err(StoreError::rejected("the body of a record is too long"));
    }
    let mut batch = Batch::new(records)?;
    let mut fates = vec![Fate::Fresh; batch.groups.len()];
    let mut todo: Vec<usize> = (0..batch.groups.len()).collect();
    for pause in PAUSES {
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        add(shared, &batch, &todo, &mut fates).await?;
        todo.retain(
            |&index| matches!(fates[index], Fate::Known(known) if batch.replaces(index, known)),
        );
        replace(shared, &batch, &mut todo, &mut fates).await?;
        if todo.is_empty() {
            break;
        }
    }
    for index in todo {
        if let Fate::Known(known) = fates[index] {
            fates[index] = Fate::Busy(known);
        }
    }
    let changed = batch
        .groups
        .iter()
        .zip(&fates)
        .filter(|(_, fate)| matches!(fate, Fate::Fresh | Fate::Upgraded(_)))
        .map(|(group, _)| &group.best.queue)
        .filter(|queue| queue.kind() != QueueKind::Quarantine);
    shared.bell.ring(shared, changed);
    Ok(batch.answers(&fates))
}

/// What is asked after a commit that a standby must have: the commit's own wait for it ends as well when it
/// is cancelled, or when the server is told to have no synchronous standby any more.
fn confirmation(shared: &Shared) -> Option<Statement<'_>> {
    let confirm = || query(shared.statements.confirm.sql()).bind(shared.guard.patience);
    shared.guard.standby.then(confirm)
}

/// Inserts what is new, and learns of the rest.
async fn add(
    shared: &Shared,
    batch: &Batch<'_>,
    todo: &[usize],
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    // In order of the keys: two batches that name the same ones wait for each other in one order.
    let mut order: Vec<(usize, usize)> = todo.iter().copied().zip(1..).collect();
    order.sort_by_key(|&(index, _)| batch.groups[index].k);
    let groups = || order.iter().map(|&(index, _)| &batch.groups[index]);
    let mut queues: Vec<&Queue> = Vec::new();
    let places: Vec<i32> = groups()
        .map(|group| {
            let queue = &group.best.queue;
            let known = queues.iter().position(|known| *known == queue);
            let place = known.unwrap_or_else(|| {
                queues.push(queue);
                queues.len() - 1
            });
            number(place + 1)
        })
        .collect();
    let capacity = shared.room.ask(order.len());
    let found = shared
        .calls
        .rows_then(
            query(shared.statements.insert.sql())
                .bind(groups().map(|group| group.k).collect::<Vec<_>>())
                .bind(
                    groups()
                        .map(|group| group.best.id.to_bytes())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    order
                        .iter()
                        .map(|&(_, ord)| number(ord))
                        .collect::<Vec<_>>(),
                )
                .bind(places)
                .bind(
                    groups()
                        .map(|group| i32::from(group.best.rank))
                        .collect::<Vec<_>>(),
                )
                .bind(groups().map(|group| group.digest).collect::<Vec<_>>())
                .bind(
                    groups()
                        .map(|group| rows::millis(group.best.due_in))
                        .collect::<Vec<_>>(),
                )
                .bind(groups().map(|group| &*group.best.key).collect::<Vec<_>>())
                .bind(groups().map(|group| &*group.best.meta).collect::<Vec<_>>())
                .bind(groups().map(|group| &*group.best.body).collect::<Vec<_>>())
                .bind(
                    queues
                        .iter()
                        .map(|queue| queue.endpoint())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    queues
                        .iter()
                        .map(|queue| queue.kind().as_str())
                        .collect::<Vec<_>>(),
                )
                .bind(capacity)
                .bind(shared.quarantine)
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
            confirmation(shared),
        )
        .await?;
    let places: HashMap<KeyHash, usize> = todo
        .iter()
        .map(|&index| (batch.groups[index].k, index))
        .collect();
    for &index in todo {
        fates[index] = Fate::Fresh;
    }
    for row in &found {
        let answer: i16 = row.try_get(0).map_err(store_error)?;
        match answer {
            6 => {
                let queue: i32 = row.try_get(1).map_err(store_error)?;
                let dropped: i64 = row.try_get(8).map_err(store_error)?;
                let queue = usize::try_from(queue - 1)
                    .ok()
                    .and_then(|place| queues.get(place));
                if let Some(queue) = queue {
                    shared.count_dropped(queue, u64::try_from(dropped).unwrap_or(0));
                }
                continue;
            }
            7 => {
                let alive = row.try_get(8).map_err(store_error)?;
                shared.room.learn(alive, order.len());
                continue;
            }
            _ => {}
        }
        let k: KeyHash = row.try_get(2).map_err(store_error)?;
        let Some(&index) = places.get(&k) else {
            continue;
        };
        if answer == 3 {
            fates[index] = Fate::Full;
            continue;
        }
        let key: Option<&[u8]> = row.try_get(7).map_err(store_error)?;
        if key.is_some_and(|key| *key != batch.groups[index].best.key) {
            return Err(collision());
        }
        fates[index] = Fate::Known(standing(row, 3).map_err(store_error)?);
    }
    Ok(())
}

/// Replaces what has a lower rank. What is left in `todo` is held by somebody, or gone.
async fn replace(
    shared: &Shared,
    batch: &Batch<'_>,
    todo: &mut Vec<usize>,
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    if todo.is_empty() {
        return Ok(());
    }
    // In order of the keys, as everywhere.
    todo.sort_by_key(|&index| batch.groups[index].k);
    let groups = || todo.iter().map(|&index| &batch.groups[index]);
    let told = shared
        .calls
        .rows_then(
            query(shared.statements.upgrade.sql())
                .bind(groups().map(|group| group.k).collect::<Vec<_>>())
                .bind(
                    groups()
                        .map(|group| group.best.id.to_bytes())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    groups()
                        .map(|group| i32::from(group.best.rank))
                        .collect::<Vec<_>>(),
                )
                .bind(groups().map(|group| group.digest).collect::<Vec<_>>())
                .bind(
                    groups()
                        .map(|group| rows::millis(group.best.due_in))
                        .collect::<Vec<_>>(),
                )
                .bind(groups().map(|group| &*group.best.key).collect::<Vec<_>>())
                .bind(groups().map(|group| &*group.best.meta).collect::<Vec<_>>())
                .bind(groups().map(|group| &*group.best.body).collect::<Vec<_>>())
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
            confirmation(shared),
        )
        .await?;
    for row in &told {
        let answer: i16 = row.try_get(0).map_err(store_error)?;
        let k: KeyHash = row.try_get(1).map_err(store_error)?;
        let known = standing(row, 2).map_err(store_error)?;
        let Some(place) = todo.iter().position(|&index| batch.groups[index].k == k) else {
            continue;
        };
        fates[todo.remove(place)] = match answer {
            2 => Fate::Upgraded(known),
            _ => Fate::Known(known),
        };
    }
    Ok(())
}

/// Id, rank, digest and state, from this column on.
fn standing(row: &sqlx::postgres::PgRow, first: usize) -> Result<Standing, sqlx::Error> {
    Ok(Standing {
        id: rows::id(row, first)?,
        rank: rows::rank(row, first + 1)?,
        digest: row.try_get(first + 2)?,
        state: rows::state(row, first + 3)?,
    })
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}
