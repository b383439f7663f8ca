//! Leasing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Row, postgres::PgRow, query};

use super::{Shared, db_error::store_error, rows};
use crate::store::{Lease, Leased, Queue, StoreError};

/// How often a lease looks at everything that is due, and not only from where the last one began.
const SWEEP: Duration = Duration::from_secs(1);

/// Where the last lease of each queue began. What lies before was leased, and what is left of it in
/// the index is waded through again and again while a vacuum is held back.
#[derive(Debug, Default)]
pub(super) struct Cursors(Mutex<HashMap<Queue, Cursor>>);

#[derive(Debug)]
struct Cursor {
    due: i64,
    swept: Instant,
}

impl Cursors {
    /// From which due time on to look; zero is everything.
    fn since(&self, queue: &Queue) -> i64 {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cursors.get_mut(queue) {
            Some(cursor) if cursor.swept.elapsed() < SWEEP => cursor.due,
            Some(cursor) => {
                cursor.swept = Instant::now();
                0
            }
            None => 0,
        }
    }

    fn moved(&self, queue: &Queue, due: i64) {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cursors.get_mut(queue) {
            Some(cursor) => cursor.due = due,
            None => {
                let swept = Instant::now();
                cursors.insert(queue.clone(), Cursor { due, swept });
            }
        }
    }
}

pub(super) async fn lease(
    shared: &Shared,
    queue: &Queue,
    max: usize,
    ttl: Duration,
) -> Result<Vec<Leased>, StoreError> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let random = rows::new_random();
    let found = shared
        .calls
        .rows(
            query(shared.statements.lease.sql())
                .bind(queue.endpoint())
                .bind(queue.kind().as_str())
                .bind(i64::try_from(max).unwrap_or(i64::MAX))
                .bind(rows::millis(ttl))
                .bind(random)
                .bind(shared.cursors.since(queue))
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
        )
        .await?;
    let Some(first) = found.first() else {
        return Ok(Vec::new());
    };
    let due = first.try_get(1).map_err(store_error)?;
    let leased: Result<Vec<(i64, Leased)>, _> =
        found.iter().map(|row| read(row, queue, random)).collect();
    let mut leased = leased.map_err(store_error)?;
    leased.sort_by_key(|(place, _)| *place);
    shared.cursors.moved(queue, due);
    Ok(leased.into_iter().map(|(_, leased)| leased).collect())
}

fn read(row: &PgRow, queue: &Queue, random: i64) -> Result<(i64, Leased), sqlx::Error> {
    let token = rows::token(row.try_get(2)?, random);
    let key: Vec<u8> = row.try_get(8)?;
    let meta: Vec<u8> = row.try_get(9)?;
    let body: Vec<u8> = row.try_get(10)?;
    let leased = Leased::new(
        Lease::new(queue.clone(), rows::id(row, 3)?, token),
        key.into(),
        rows::rank(row, 4)?,
        body.into(),
        meta.into(),
    )
    .with_history(
        rows::count(row, 5)?,
        rows::count(row, 6)?,
        rows::duration(row.try_get(7)?),
    );
    Ok((row.try_get(0)?, leased))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_begins_where_the_last_one_did_until_it_is_time_for_a_sweep() {
        let cursors = Cursors::default();
        let (queue, other) = (Queue::events("a"), Queue::events("b"));
        assert_eq!(cursors.since(&queue), 0);
        cursors.moved(&queue, 7);
        assert_eq!((cursors.since(&queue), cursors.since(&other)), (7, 0));
        let mut inside = cursors.0.lock().unwrap();
        let cursor = inside.get_mut(&queue).unwrap();
        cursor.swept = Instant::now().checked_sub(SWEEP).unwrap();
        drop(inside);
        assert_eq!((cursors.since(&queue), cursors.since(&queue)), (0, 7));
    }
}
