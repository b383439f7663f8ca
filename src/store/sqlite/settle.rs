//! Settling: find the rows of the tokens, decide in order, write what became of them.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{
    Shared,
    clock::ceil_millis,
    db_error::{is_locked, store_error},
    queues::{Queues, commit, select_queues},
    rows::{self, DEAD, LEASED, PENDING},
    settings,
};
use crate::store::{Action, LeaseToken, Settled, Settlement, StoreError, inspect::Record};

/// Takes the write lock, reads the queues, and finds the rows that packed tokens (`?1`, `?2` of
/// them) were the last ones of. The planner is told which way to go: left alone, it builds an index
/// on the token for every batch, and in a user's database it may know statistics of its own.
const BEGIN: &str = concat!(
    "BEGIN IMMEDIATE;",
    select_queues!(),
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
SELECT n.i, r.state, r.seq, r.queue, r.attempt, r.next_due
FROM n CROSS JOIN tower_callback_record r INDEXED BY tower_callback_key
    ON r.k BETWEEN substr(?1, n.i * 48 + 1, 16) AND substr(?1, n.i * 48 + 17, 16) AND r.state < 4
WHERE +r.token = substr(?1, n.i * 48 + 33, 16)
UNION ALL
SELECT n.i, s.state, s.seq, s.queue, 0, NULL
FROM n CROSS JOIN tower_callback_seen s
    ON s.k BETWEEN substr(?1, n.i * 48 + 1, 16) AND substr(?1, n.i * 48 + 17, 16)
WHERE +s.token = substr(?1, n.i * 48 + 33, 16)"
);

/// Everything that a batch changes, in one round trip: `$1` is now, and the others are JSON arrays, most of
/// which are empty. Not `?7`, by which a statement gets a parameter for every number below it.
///
/// - The keys of what is done (`$2`, rows) are remembered. What is alive is not in `seen`, unless a
///   `complete` was cut off and its transaction committed all the same: then that row tells of an
///   earlier event, and this one replaces it.
/// - The keys of what is disowned (`$3`, rows) are free, and the tokens that freed them remembered.
/// - What goes on is written (`$4`, `Change`).
/// - The attempts that failed are written down (`$5`, `Change`), before they are forgotten over newer ones
///   (`$6`: how many are kept).
const SETTLE: &str = concat!(
    "INSERT OR REPLACE INTO tower_callback_seen (k, seq, queue, state, at, rank, digest, token, id)
SELECT r.k, r.seq, r.queue, 4, $1, r.rank, r.digest, r.token, r.id
FROM json_each($2) j CROSS JOIN tower_callback_record r ON r.seq = j.value;
UPDATE OR ROLLBACK tower_callback_record SET state = 4, due = NULL, at = $1
WHERE seq IN (SELECT value FROM json_each($2));

INSERT OR REPLACE INTO tower_callback_seen (k, seq, queue, state, at, rank, digest, token, id)
SELECT r.k, r.seq, r.queue, 5, $1, r.rank, r.digest, r.token, r.id
FROM json_each($3) j CROSS JOIN tower_callback_record r ON r.seq = j.value;
DELETE FROM tower_callback_record WHERE seq IN (SELECT value FROM json_each($3));

UPDATE OR ROLLBACK tower_callback_record SET
    state = (j.value ->> 1),
    due = (j.value ->> 2),
    at = (j.value ->> 3),
    lease_until = (j.value ->> 4),
    next_due = (j.value ->> 5),
    attempt = (j.value ->> 6),
    error = coalesce(j.value ->> 7, error)
FROM json_each($4) j WHERE seq = (j.value ->> 0);

INSERT INTO tower_callback_failure (seq, n, attempt, at, error)
SELECT j.value ->> 0,
    coalesce((SELECT max(n) FROM tower_callback_failure f WHERE f.seq = (j.value ->> 0)), 0) + 1,
    j.value ->> 6, $1, j.value ->> 7
FROM json_each($5) j;
DELETE FROM tower_callback_failure WHERE (seq, n) IN (
    SELECT f.seq, f.n FROM json_each($5) j CROSS JOIN tower_callback_failure f
        ON f.seq = (j.value ->> 0)
    WHERE f.n <= (SELECT max(n) FROM tower_callback_failure m WHERE m.seq = f.seq) - $6);
",
    commit!("$1", "$7")
);

/// A row as it is after the settlements so far.
struct Standing {
    seq: i64,
    queue: i64,
    state: i64,
    attempt: i64,
    /// When an event that replaced the leased one is due.
    next_due: Option<i64>,
    /// What is to be written, if the row goes on.
    change: Option<Change>,
    end: Option<End>,
}

/// `seq`, `state`, `due`, `at`, `lease_until`, `next_due`, `attempt`, `error`.
#[derive(Serialize)]
struct Change(
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<String>,
);

#[derive(Clone, Copy, PartialEq)]
enum End {
    Done,
    Disowned,
}

pub(super) async fn settle(
    shared: &Shared,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, StoreError> {
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    match locked(shared, settlements).await {
        // Heartbeats do not fail because somebody's transaction is open; they are told so.
        Err(error) if is_locked(&error) && settlements.iter().all(is_extension) => {
            Ok(vec![Settled::Busy; settlements.len()])
        }
        outcome => outcome,
    }
}

async fn locked(shared: &Shared, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
    let mut held = shared.connections.writer().await?;
    let settled = if settlements.iter().all(is_extension) {
        settings::hurry(held.conn(), async |conn| {
            run(shared, conn, settlements).await
        })
        .await
    } else {
        run(shared, held.conn(), settlements).await
    };
    shared
        .connections
        .finish(held, settled.map_err(store_error))
}

fn is_extension(settlement: &Settlement) -> bool {
    matches!(settlement.action, Action::Extend { .. })
}

async fn run(
    shared: &Shared,
    conn: &mut SqliteConnection,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, sqlx::Error> {
    let mut packed = Vec::with_capacity(settlements.len() * 48);
    for settlement in settlements {
        let token = settlement.lease.token;
        let [low, high] = rows::token_range(token);
        packed.extend([low, high, token.to_bytes()].concat());
    }
    let found = query(BEGIN)
        .bind(packed)
        .bind(i64::try_from(settlements.len()).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
    let mut queues = Queues::default();
    let mut standings: HashMap<LeaseToken, Standing> = HashMap::with_capacity(found.len());
    for row in &found {
        match usize::try_from(row.try_get::<i64, _>(0)?) {
            Err(_) => queues.read(row)?,
            Ok(index) => {
                // What is alive comes first, and knows better.
                let token = settlements[index].lease.token;
                let standing = read(row)?;
                standings.entry(token).or_insert(standing);
            }
        }
    }
    let now = shared.clock.at_least(queues.clock());
    let settled = settlements
        .iter()
        .map(|settlement| {
            standings
                .get_mut(&settlement.lease.token)
                .map_or(Settled::Stale, |standing| {
                    standing.settle(&settlement.action, now)
                })
        })
        .collect();
    write(conn, standings.into_values(), &mut queues, now).await?;
    Ok(settled)
}

fn read(row: &SqliteRow) -> Result<Standing, sqlx::Error> {
    Ok(Standing {
        state: row.try_get(1)?,
        seq: row.try_get(2)?,
        queue: row.try_get(3)?,
        attempt: row.try_get(4)?,
        next_due: row.try_get(5)?,
        change: None,
        end: None,
    })
}

impl Standing {
    fn settle(&mut self, action: &Action, now: i64) -> Settled {
        if self.state != LEASED {
            return match action {
                // The lease has ended: there is nothing to extend.
                Action::Extend { .. } => Settled::Stale,
                _ => Settled::Applied,
            };
        }
        let after = |duration| now.saturating_add(ceil_millis(duration));
        match action {
            Action::Extend { ttl } => {
                let until = after(*ttl);
                let due = self.next_due.map_or(until, |next| next.max(until));
                self.change = Some(Change(
                    self.seq,
                    LEASED,
                    Some(due),
                    None,
                    Some(until),
                    self.next_due,
                    self.attempt,
                    None,
                ));
                return Settled::Applied;
            }
            // An event that replaced the leased one is due now, whatever became of the lease.
            _ if let Some(next) = self.next_due => self.wait(next.max(now), 0, None),
            Action::Done => self.end(End::Done),
            Action::Disown => self.end(End::Disowned),
            Action::RetryIn { after: wait, error } => {
                self.wait(after(*wait), self.attempt, Some(error.clone()));
            }
            Action::Release { after: wait } => {
                self.wait(after(*wait), (self.attempt - 1).max(0), None);
            }
            Action::Dead { reason } => {
                self.state = DEAD;
                let reason = Some(reason.clone());
                self.change = Some(Change(
                    self.seq,
                    DEAD,
                    None,
                    Some(now),
                    None,
                    None,
                    self.attempt,
                    reason,
                ));
            }
        }
        Settled::Applied
    }

    fn wait(&mut self, due: i64, attempt: i64, error: Option<String>) {
        self.state = PENDING;
        self.change = Some(Change(
            self.seq,
            PENDING,
            Some(due),
            None,
            None,
            None,
            attempt,
            error,
        ));
    }

    fn end(&mut self, end: End) {
        self.state = rows::DONE;
        self.change = None;
        self.end = Some(end);
    }
}

async fn write(
    conn: &mut SqliteConnection,
    standings: impl Iterator<Item = Standing>,
    queues: &mut Queues,
    now: i64,
) -> Result<(), sqlx::Error> {
    let (mut done, mut disowned, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for standing in standings {
        match (standing.end, standing.change) {
            (Some(End::Done), _) => done.push(standing.seq),
            (Some(End::Disowned), _) => disowned.push(standing.seq),
            (None, Some(change)) => {
                let goes_on = change.1 != DEAD;
                changes.push(change);
                if goes_on {
                    continue;
                }
            }
            (None, None) => continue,
        }
        queues.change(standing.queue, -1);
    }
    let changed = to_json(&changes)?;
    changes.retain(|change| change.7.is_some());
    query(SETTLE)
        .bind(now)
        .bind(rows::json_array(done))
        .bind(rows::json_array(disowned))
        .bind(changed)
        .bind(to_json(&changes)?)
        .bind(i64::try_from(Record::MAX_FAILURES).unwrap_or(i64::MAX))
        .bind(queues.changes())
        .execute(conn)
        .await?;
    Ok(())
}

fn to_json(changes: &[Change]) -> Result<String, sqlx::Error> {
    serde_json::to_string(changes).map_err(|e| sqlx::Error::Encode(e.into()))
}
