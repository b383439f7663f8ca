//! What operators change: one record after the other, in one transaction.

use sqlx::{Row, SqliteConnection, query};

use super::{
    Shared,
    db_error::store_error,
    locate::{Found, locate},
    queues::{Queues, select_queues},
    rows::{DEAD, DONE, LEASED},
};
use crate::store::{
    Queue, RecordId, StoreError,
    inspect::{Deleted, Requeued},
};

const BEGIN: &str = concat!("BEGIN IMMEDIATE;", select_queues!());

/// What a record is by now: its row, and whether somebody is at work on it. What is done is what
/// `seen` says that it is.
const NOW: &str = "
SELECT r.seq, r.state, r.lease_until FROM tower_callback_record r
WHERE r.seq = ?1 AND r.id = ?2 AND r.state < 4
UNION ALL
SELECT r.seq, 4, NULL FROM tower_callback_seen s
LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
WHERE s.k = ?3 AND s.id = ?2 AND s.state = 4
LIMIT 1";

/// The tokens from before are nobody's any more.
const REQUEUE: &str = "
UPDATE OR ROLLBACK tower_callback_record SET
    state = 0, due = ?2, at = NULL, lease_until = NULL, next_due = NULL, born = ?2,
    attempt = 0, expiries = 0, token = NULL, settled_by = NULL
WHERE seq = ?1";

const FORGET: &str = "DELETE FROM tower_callback_seen WHERE k = ?1";

const DELETE: &str = "DELETE FROM tower_callback_record WHERE seq = ?1";

/// One of the two things that an operator may tell.
trait Order {
    type Answer: Copy;

    const UNKNOWN: Self::Answer;

    async fn carry_out(
        conn: &mut SqliteConnection,
        queues: &mut Queues,
        target: &Target,
        now: i64,
    ) -> Result<Self::Answer, sqlx::Error>;
}

/// A record under the lock.
struct Target {
    queue: i64,
    seq: Option<i64>,
    k: Vec<u8>,
    state: i64,
    /// In somebody's hands.
    leased: bool,
}

struct Requeue;

impl Order for Requeue {
    type Answer = Requeued;

    const UNKNOWN: Requeued = Requeued::Unknown;

    async fn carry_out(
        conn: &mut SqliteConnection,
        queues: &mut Queues,
        target: &Target,
        now: i64,
    ) -> Result<Requeued, sqlx::Error> {
        match (target.state, target.seq) {
            _ if target.leased => Ok(Requeued::Leased),
            (DONE, None) => Ok(Requeued::Gone),
            (DONE | DEAD, Some(seq)) => {
                query(FORGET).bind(&target.k).execute(&mut *conn).await?;
                query(REQUEUE).bind(seq).bind(now).execute(conn).await?;
                queues.change(target.queue, 1);
                Ok(Requeued::Applied)
            }
            _ => Ok(Requeued::Pending),
        }
    }
}

struct Delete;

impl Order for Delete {
    type Answer = Deleted;

    const UNKNOWN: Deleted = Deleted::Unknown;

    async fn carry_out(
        conn: &mut SqliteConnection,
        queues: &mut Queues,
        target: &Target,
        _: i64,
    ) -> Result<Deleted, sqlx::Error> {
        if target.leased {
            return Ok(Deleted::Leased);
        }
        if target.state == DONE {
            query(FORGET).bind(&target.k).execute(&mut *conn).await?;
        }
        if let Some(seq) = target.seq {
            query(DELETE).bind(seq).execute(conn).await?;
        }
        if !matches!(target.state, DONE | DEAD) {
            queues.change(target.queue, -1);
        }
        Ok(Deleted::Applied)
    }
}

pub(super) async fn requeue(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Requeued>, StoreError> {
    operate::<Requeue>(shared, queue, ids).await
}

pub(super) async fn delete(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<Deleted>, StoreError> {
    operate::<Delete>(shared, queue, ids).await
}

async fn operate<O: Order>(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Vec<O::Answer>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Nobody waits while records are searched for.
    let mut held = shared.connections.reader().await?;
    let located = locate(held.conn(), queue, ids).await.map_err(store_error);
    let Some((number, found)) = shared.connections.finish(held, located)? else {
        return Ok(vec![O::UNKNOWN; ids.len()]);
    };
    let found: Vec<_> = ids.iter().map(|id| (*id, found.get(id))).collect();

    let mut held = shared.connections.writer().await?;
    let answers = run::<O>(shared, held.conn(), number, &found).await;
    shared
        .connections
        .finish(held, answers.map_err(store_error))
}

async fn run<O: Order>(
    shared: &Shared,
    conn: &mut SqliteConnection,
    number: i64,
    found: &[(RecordId, Option<&Found>)],
) -> Result<Vec<O::Answer>, sqlx::Error> {
    let mut queues = Queues::default();
    for row in query(BEGIN).fetch_all(&mut *conn).await? {
        queues.read(&row)?;
    }
    let now = shared.clock.at_least(queues.clock());
    let mut answers = Vec::with_capacity(found.len());
    for (id, found) in found {
        let Some(found) = found else {
            answers.push(O::UNKNOWN);
            continue;
        };
        answers.push(match target(conn, number, *id, found, now).await? {
            Some(target) => O::carry_out(conn, &mut queues, &target, now).await?,
            None => O::UNKNOWN,
        });
    }
    queues.commit(conn, now).await?;
    Ok(answers)
}

async fn target(
    conn: &mut SqliteConnection,
    queue: i64,
    id: RecordId,
    found: &Found,
    now: i64,
) -> Result<Option<Target>, sqlx::Error> {
    let k = found.k.to_vec();
    let row = query(NOW)
        .bind(found.seq)
        .bind(id.to_bytes().to_vec())
        .bind(&k)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let state: i64 = row.try_get(1)?;
    let lease_until: Option<i64> = row.try_get(2)?;
    Ok(Some(Target {
        queue,
        seq: row.try_get(0)?,
        k,
        state,
        leased: state == LEASED && lease_until.is_some_and(|until| until > now),
    }))
}
