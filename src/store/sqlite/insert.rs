//! Inserting: one look at what is known, a decision per record, one write.

use std::{collections::HashMap, sync::LazyLock};

use sqlx::{Row, SqliteConnection, query};

use super::{
    Shared,
    clock::ceil_millis,
    db_error::store_error,
    plan::{Candidate, Known, Plan, Upgrade, decide, read_known},
    queues::{Queues, commit, select_queues},
    rows::{self, KeyHash, Over, RowsSql},
};
use crate::store::{Inserted, NewRecord, Queue, QueueKind, StoreError};

/// The longest meta that is stored.
const MAX_META: usize = 16 * 1024;

/// Takes the write lock, reads the queues and the last row's number (-2), and finds what is known of
/// packed hashes (`?1`, `?2` of them). What is alive comes first.
const BEGIN: &str = concat!(
    "BEGIN IMMEDIATE;",
    select_queues!(),
    "SELECT -2, max(
        coalesce((SELECT max(seq) FROM tower_callback_record), 0),
        coalesce((SELECT max(seq) FROM tower_callback_payload), 0));",
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
SELECT n.i, r.state, r.id, r.rank, r.digest, r.token, r.lease_until, r.seq, p.key
FROM n CROSS JOIN tower_callback_record r INDEXED BY tower_callback_key
    ON r.k = substr(?1, n.i * 16 + 1, 16) AND r.state < 4
CROSS JOIN tower_callback_payload p ON p.seq = r.seq
UNION ALL
SELECT n.i, s.state, s.id, s.rank, s.digest, s.token, NULL, NULL, NULL
FROM n CROSS JOIN tower_callback_seen s ON s.k = substr(?1, n.i * 16 + 1, 16)"
);

const INSERT_RECORDS: Over<'_> = Over {
    before: "INSERT OR ROLLBACK INTO tower_callback_record
            (seq, queue, k, id, rank, digest, born, due, token, state, at)
         SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9,
            iif(column8 IS NULL, 2, 0), iif(column8 IS NULL, column7, NULL)
         FROM",
    columns: 9,
    after: "WHERE column1 IS NOT NULL",
};

const INSERT_PAYLOADS: Over<'_> = Over {
    before: "INSERT OR ROLLBACK INTO tower_callback_payload (seq, key, meta, body)
         SELECT column1, column2, column3, column4 FROM",
    columns: 4,
    after: "WHERE column1 IS NOT NULL",
};

static INSERT: LazyLock<RowsSql> =
    LazyLock::new(|| RowsSql::new(&[INSERT_RECORDS, INSERT_PAYLOADS], ""));

/// Most batches have nothing to do after that, and a caller waits for every round trip.
static INSERT_AND_COMMIT: LazyLock<RowsSql> =
    LazyLock::new(|| RowsSql::new(&[INSERT_RECORDS, INSERT_PAYLOADS], commit!("?", "?")));

/// A lease stays good, and the record is due when it ends; what is dead lives again.
const UPGRADE_RECORDS: Over<'_> = Over {
    before: "UPDATE OR ROLLBACK tower_callback_record AS r SET
            id = v.column2, rank = v.column3, digest = v.column4, born = v.column5,
            attempt = 0, expiries = 0, error = NULL,
            next_due = iif(r.state = 1, v.column6, NULL),
            due = iif(r.state = 1, max(r.lease_until, v.column6), v.column6),
            at = iif(r.state = 2, v.column5, NULL),
            state = iif(r.state = 3, 0, r.state)
         FROM",
    columns: 6,
    after: "AS v WHERE r.seq = v.column1",
};

const UPGRADE_PAYLOADS: Over<'_> = Over {
    before: "UPDATE OR ROLLBACK tower_callback_payload AS p SET meta = v.column2, body = v.column3 FROM",
    columns: 3,
    after: "AS v WHERE p.seq = v.column1",
};

static UPGRADE: LazyLock<RowsSql> =
    LazyLock::new(|| RowsSql::new(&[UPGRADE_RECORDS, UPGRADE_PAYLOADS], ""));

/// Forgets packed keys that were done or disowned, because they are pending again: what is alive is
/// not in `seen`. A row's number may have been another's before, so its key is compared.
const REVIVE: &str = "
DELETE FROM tower_callback_record WHERE seq IN (
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
    SELECT r.seq FROM n
    CROSS JOIN tower_callback_seen s ON s.k = substr(?1, n.i * 16 + 1, 16)
    CROSS JOIN tower_callback_record r ON r.seq = s.seq AND +r.k = s.k
    WHERE r.state = 4);
DELETE FROM tower_callback_seen WHERE k IN (
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
    SELECT substr(?1, n.i * 16 + 1, 16) FROM n)";

/// What failed was another event. Numbers of rows as JSON.
const FORGET_FAILURES: &str =
    "DELETE FROM tower_callback_failure WHERE seq IN (SELECT value FROM json_each(?1))";

pub(super) async fn insert(
    shared: &Shared,
    records: &[NewRecord],
) -> Result<Vec<Inserted>, StoreError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    if records.iter().any(|record| record.meta.len() > MAX_META) {
        return Err(StoreError::rejected("the meta of a record is too long"));
    }
    shared.check_reserve()?;
    let hashes: Vec<KeyHash> = records
        .iter()
        .map(|record| rows::key_hash(&record.queue, &record.key))
        .collect();
    let digests: Vec<i64> = records
        .iter()
        .map(|record| rows::digest(&record.body))
        .collect();
    let batch = Batch {
        records,
        hashes,
        digests,
    };

    let mut held = shared.connections.writer().await?;
    let outcome = run(shared, held.conn(), &batch).await;
    let (answers, dropped) = shared.connections.finish(held, outcome)?;
    for (queue, count) in dropped {
        shared.count_dropped(&queue, count);
    }
    Ok(answers)
}

/// Records, and what is computed of them without the lock.
struct Batch<'a> {
    records: &'a [NewRecord],
    hashes: Vec<KeyHash>,
    digests: Vec<i64>,
}

type Outcome = (Vec<Inserted>, Vec<(Queue, u64)>);

async fn run(
    shared: &Shared,
    conn: &mut SqliteConnection,
    batch: &Batch<'_>,
) -> Result<Outcome, StoreError> {
    let Batch {
        records, hashes, ..
    } = batch;
    let found = query(BEGIN)
        .bind(hashes.concat())
        .bind(count(hashes.len()))
        .fetch_all(&mut *conn)
        .await
        .map_err(store_error)?;
    let mut queues = Queues::default();
    let mut known: HashMap<KeyHash, Known> = HashMap::new();
    let mut last = 0;
    for row in &found {
        let index: i64 = row.try_get(0).map_err(store_error)?;
        match usize::try_from(index) {
            Err(_) if index == -2 => last = row.try_get(1).map_err(store_error)?,
            Err(_) => queues.read(row).map_err(store_error)?,
            Ok(index) => {
                let row = read_known(row).map_err(store_error)?;
                known.entry(hashes[index]).or_insert(row);
            }
        }
    }
    let now = shared.clock.at_least(queues.clock());

    let mut plan = Plan::default();
    let mut answers = Vec::with_capacity(records.len());
    let mut room = if has_bytes_left(conn, shared.capacity_bytes)
        .await
        .map_err(store_error)?
    {
        shared.room(queues.live(shared.counts_quarantine))
    } else {
        0
    };
    for (index, record) in records.iter().enumerate() {
        let entry = known.entry(hashes[index]);
        let candidate = Candidate {
            index,
            record,
            digest: batch.digests[index],
            counted: shared.counts_quarantine || record.queue.kind() != QueueKind::Quarantine,
        };
        answers.push(decide(&mut plan, &mut room, entry, &candidate, now)?);
    }
    if plan.new.is_empty() && plan.upgrades.is_empty() {
        query("ROLLBACK").execute(conn).await.map_err(store_error)?;
        return Ok((answers, Vec::new()));
    }
    let dropped = write(shared, conn, batch, &plan, queues, last, now)
        .await
        .map_err(store_error)?;
    Ok((answers, dropped))
}

/// Writes what is planned, and commits. Says how much was dropped from which quarantine.
async fn write(
    shared: &Shared,
    conn: &mut SqliteConnection,
    batch: &Batch<'_>,
    plan: &Plan,
    mut queues: Queues,
    mut last: i64,
    now: i64,
) -> Result<Vec<(Queue, u64)>, sqlx::Error> {
    let Batch {
        records,
        hashes,
        digests,
    } = batch;
    let revived: Vec<KeyHash> = plan
        .new
        .iter()
        .filter(|row| row.revives)
        .map(|row| hashes[row.index])
        .collect();
    if !revived.is_empty() {
        query(REVIVE)
            .bind(revived.concat())
            .bind(count(revived.len()))
            .execute(&mut *conn)
            .await?;
    }
    upgrade(conn, batch, &plan.upgrades, &mut queues, now).await?;
    let mut numbers = Vec::with_capacity(plan.new.len());
    for row in &plan.new {
        let number = queues.number(conn, &records[row.index].queue).await?;
        queues.change(number, 1);
        numbers.push(number);
    }
    let overfull = queues.overfull(shared.quarantine);

    let chunks = plan.new.chunks(RowsSql::MAX_ROWS);
    let numbers = numbers.chunks(RowsSql::MAX_ROWS);
    let mut left = chunks.len();
    for (chunk, numbers) in chunks.zip(numbers) {
        left -= 1;
        let commits = left == 0 && overfull.is_empty();
        let sql = if commits { &INSERT_AND_COMMIT } else { &INSERT };
        let mut statement = query(sql.for_rows(chunk.len()));
        for ((seq, row), queue) in (last + 1..).zip(chunk).zip(numbers) {
            let record = &records[row.index];
            statement = statement
                .bind(seq)
                .bind(*queue)
                .bind(hashes[row.index].to_vec())
                .bind(record.id.to_bytes().to_vec())
                .bind(record.rank)
                .bind(digests[row.index])
                .bind(now)
                .bind(due(record, now))
                .bind(row.token.as_deref());
        }
        statement = INSERT_RECORDS.fill_up(statement, chunk.len());
        for (seq, row) in (last + 1..).zip(chunk) {
            let record = &records[row.index];
            statement = statement
                .bind(seq)
                .bind(&*record.key)
                .bind(&*record.meta)
                .bind(&*record.body);
        }
        statement = INSERT_PAYLOADS.fill_up(statement, chunk.len());
        if commits {
            let statement = statement.bind(now).bind(queues.changes());
            statement.execute(conn).await?;
            return Ok(Vec::new());
        }
        statement.execute(&mut *conn).await?;
        last += count(chunk.len());
    }
    let dropped = drop_oldest(conn, overfull, &mut queues).await?;
    queues.commit(conn, now).await?;
    Ok(dropped)
}

async fn upgrade(
    conn: &mut SqliteConnection,
    batch: &Batch<'_>,
    upgrades: &[Upgrade],
    queues: &mut Queues,
    now: i64,
) -> Result<(), sqlx::Error> {
    for chunk in upgrades.chunks(RowsSql::MAX_ROWS) {
        let mut statement = query(UPGRADE.for_rows(chunk.len()));
        for upgrade in chunk {
            let record = &batch.records[upgrade.index];
            if upgrade.was_dead {
                let queue = queues.number(conn, &record.queue).await?;
                queues.change(queue, 1);
            }
            statement = statement
                .bind(upgrade.seq)
                .bind(record.id.to_bytes().to_vec())
                .bind(record.rank)
                .bind(batch.digests[upgrade.index])
                .bind(now)
                .bind(due(record, now));
        }
        statement = UPGRADE_RECORDS.fill_up(statement, chunk.len());
        for upgrade in chunk {
            let record = &batch.records[upgrade.index];
            statement = statement
                .bind(upgrade.seq)
                .bind(&*record.meta)
                .bind(&*record.body);
        }
        statement.execute(&mut *conn).await?;
    }
    if !upgrades.is_empty() {
        let seqs = upgrades.iter().map(|upgrade| upgrade.seq);
        query(FORGET_FAILURES)
            .bind(rows::json_array(seqs))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Whether the pages that are in use hold less than the capacity.
async fn has_bytes_left(conn: &mut SqliteConnection, capacity: u64) -> Result<bool, sqlx::Error> {
    if capacity == u64::MAX {
        return Ok(true);
    }
    let row = query(
        "SELECT (p.page_count - f.freelist_count) * s.page_size
        FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
    )
    .fetch_one(conn)
    .await?;
    let used: i64 = row.try_get(0)?;
    Ok(u64::try_from(used).unwrap_or(0) < capacity)
}

/// What is in quarantine is never due.
fn due(record: &NewRecord, now: i64) -> Option<i64> {
    match record.queue.kind() {
        QueueKind::Quarantine => None,
        _ => Some(now.saturating_add(ceil_millis(record.due_in))),
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Makes room in quarantines that are too full, and says how much was dropped from which.
async fn drop_oldest(
    conn: &mut SqliteConnection,
    overfull: Vec<(i64, Queue, i64)>,
    queues: &mut Queues,
) -> Result<Vec<(Queue, u64)>, sqlx::Error> {
    let mut dropped = Vec::new();
    for (number, name, excess) in overfull {
        let done = query(
            "DELETE FROM tower_callback_record WHERE seq IN (
                SELECT seq FROM tower_callback_record
                WHERE state = 2 AND at IS NOT NULL AND queue = ? ORDER BY at, seq LIMIT ?)",
        )
        .bind(number)
        .bind(excess)
        .execute(&mut *conn)
        .await?
        .rows_affected();
        queues.change(number, -i64::try_from(done).unwrap_or(0));
        dropped.push((name, done));
    }
    Ok(dropped)
}
