//! What calls cost, by the pages that they touch: not more with what they do not ask for.

use libtest_mimic::Trial;
use sqlx::{AssertSqlSafe, PgConnection, Row, query};
use tower_callback::store::{
    Action, Retention, Store,
    inspect::{Inspect, Requeued},
};

use crate::{
    support::{MINUTE, Place, events, lease, put, record, run, settle as settle_one},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "an_empty_lease_over_100k_future_records_reads_no_more_than_over_none",
            empty,
        ),
        trial(
            "calls_use_the_indexes_though_they_were_planned_over_empty_tables",
            planned_when_empty,
        ),
        trial(
            "operators_find_records_by_id_without_reading_all_keys",
            by_id,
        ),
    ]
}

/// Nobody looks at the tables behind the test's back.
async fn leave_alone(conn: &mut PgConnection) {
    for table in ["inbox", "payload", "seen", "settled"] {
        let sql = format!("ALTER TABLE tower_callback.{table} SET (autovacuum_enabled = off)");
        run(conn, &sql).await;
    }
}

/// So many records, due in so many milliseconds.
async fn backlog(conn: &mut PgConnection, records: usize, due: i64) {
    run(
        conn,
        &format!(
            "WITH n AS MATERIALIZED (
                SELECT nextval('tower_callback.record_seq') seq, q.id queue
                FROM generate_series(1, {records}), tower_callback.queue q),
             s AS (INSERT INTO tower_callback.seen (seq, digest, queue, rank, k, id)
                SELECT seq, 0, queue, 0, decode(md5(seq::text), 'hex'), decode(md5(seq::text), 'hex')
                FROM n),
             p AS (INSERT INTO tower_callback.payload
                SELECT seq, '', '', '', decode(md5(seq::text), 'hex') FROM n)
             INSERT INTO tower_callback.inbox (seq, born, due, queue, rank, state, k, id)
             SELECT seq, 0, tower_callback.clock_1() + {due}, queue, 0, 0,
                decode(md5(seq::text), 'hex'), decode(md5(seq::text), 'hex') FROM n"
        ),
    )
    .await;
}

/// The pages that a statement touches, once it is known to the session.
async fn pages(conn: &mut PgConnection, statement: &str) -> u64 {
    pages_once(conn, statement).await;
    pages_once(conn, statement).await
}

async fn pages_once(conn: &mut PgConnection, statement: &str) -> u64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}");
    let rows = query(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(conn)
        .await
        .unwrap();
    let lines = rows.iter().map(|row| row.get::<String, _>(0));
    let line = lines
        .map(|line| line.trim().to_owned())
        .find(|line| line.starts_with("Buffers:"));
    let numbers = line.iter().flat_map(|line| line.split([' ', '=']));
    numbers
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

const LEASE: &str = "SELECT * FROM tower_callback.lease_1(
    'music-video', 'events', 5, 60000, 7, 0, false, false, 5000)";

async fn empty() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    let later = record("later").with_due_in(MINUTE);
    put(&store, &later).await;
    leave_alone(&mut conn).await;
    let over_none = pages(&mut conn, LEASE).await;
    backlog(&mut conn, 100_000, 3_600_000).await;
    let over_many = pages(&mut conn, LEASE).await;
    assert!(
        over_many <= over_none + 10,
        "{over_many} pages, {over_none} over none"
    );
    assert!(
        store
            .lease(&events(), 100, MINUTE)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Plans are made when a scan of everything costs nothing, and go on to be used.
async fn planned_when_empty() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    put(&store, &record("later").with_due_in(MINUTE)).await;
    leave_alone(&mut conn).await;
    for table in ["inbox", "payload", "seen", "settled"] {
        run(&mut conn, &format!("VACUUM ANALYZE tower_callback.{table}")).await;
    }
    let known = "SELECT * FROM tower_callback.known_1(
        (SELECT array_agg(k) FROM (SELECT k FROM tower_callback.seen LIMIT 5) x))";
    for _ in 0..7 {
        pages(&mut conn, LEASE).await;
        pages(&mut conn, &settle(&[0])).await;
        pages(&mut conn, known).await;
    }
    backlog(&mut conn, 100_000, -1000).await;
    // Five records, each with its row, its indexes and its payload: a few pages each, and not
    // all that there are.
    let leased = pages(&mut conn, LEASE).await;
    assert!(leased < 400, "{leased} pages for a lease of 5");
    let rows = query("SELECT seq FROM tower_callback.inbox WHERE state = 1 ORDER BY seq LIMIT 5");
    let rows = rows.fetch_all(&mut conn).await.unwrap();
    let seqs: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(seqs.len(), 5);
    let settled = pages_once(&mut conn, &settle(&seqs)).await;
    assert!(settled < 400, "{settled} pages to settle 5");
    let known = pages(&mut conn, known).await;
    assert!(known < 400, "{known} pages to find 5 keys");
}

async fn by_id() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    let bare = record("bare");
    put(&store, &bare).await;
    let leased = lease(&store, MINUTE).await;
    settle_one(&store, &leased.lease, Action::Done).await;
    let nothing = Retention::default().with_bodies(std::time::Duration::ZERO);
    store.purge(&nothing).await.unwrap();
    leave_alone(&mut conn).await;
    backlog(&mut conn, 100_000, 3_600_000).await;
    run(
        &mut conn,
        "WITH gone AS (DELETE FROM tower_callback.inbox
            WHERE seq % 2 = 0 AND seq < 80000 RETURNING *)
         INSERT INTO tower_callback.settled
            (seq, at, born, queue, attempt, expiries, state, kept, k)
         SELECT seq, 0, 0, queue, 1, 0, 3 + seq % 4 / 2, true, k FROM gone",
    )
    .await;
    let ids = "(SELECT array_agg(id) FROM (SELECT id FROM tower_callback.seen
        WHERE seq BETWEEN 50000 AND 50004) x)";
    let unknown = "ARRAY[decode(md5('nobody'), 'hex')]";
    for ids in [ids, unknown] {
        let known = format!("SELECT array_length({ids}, 1)::bigint");
        let baseline = pages(&mut conn, &known).await;
        for name in ["by_id_1", "requeue_1", "delete_1"] {
            let rest = match name {
                "by_id_1" => "",
                _ => ", false, false, 5000",
            };
            let call = format!(
                "SELECT * FROM tower_callback.{name}('music-video', 'events', {ids}{rest})"
            );
            let touched = pages_once(&mut conn, &call).await.saturating_sub(baseline);
            assert!(touched < 700, "{touched} pages for {name}");
        }
    }
    // What has no body any more is found all the same.
    let found = store.look(&events(), bare.id).await.unwrap().unwrap();
    assert_eq!(found.summary.id, bare.id);
    assert!(found.body.is_none());
    let told = store.requeue(&events(), &[bare.id]).await.unwrap();
    assert_eq!(told, [Requeued::Gone]);
}

/// Settles these as done.
fn settle(seqs: &[i64]) -> String {
    let list = |value: &dyn Fn(&i64) -> String| {
        let values: Vec<String> = seqs.iter().map(value).collect();
        values.join(",")
    };
    format!(
        "SELECT * FROM tower_callback.settle_1(
            ARRAY[{}]::bigint[], ARRAY[{}]::bigint[], ARRAY[{}]::smallint[], ARRAY[{}]::bigint[],
            ARRAY[{}]::text[], false, false, 5000)",
        list(&ToString::to_string),
        list(&|_| "7".to_owned()),
        list(&|_| "1".to_owned()),
        list(&|_| "0".to_owned()),
        list(&|_| "NULL".to_owned()),
    )
}
