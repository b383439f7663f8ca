//! What calls cost, by the pages that they touch: not more with what they do not ask for.

use libtest_mimic::Trial;
use sqlx::{AssertSqlSafe, PgConnection, Row, query};
use tower_callback::store::{Inbox, NewRecord, Store};

use crate::{
    support::{MINUTE, Place, events, number, put, record, run},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "an_empty_lease_over_100k_future_records_reads_no_more_than_over_none",
            empty,
        ),
        trial(
            "calls_use_the_indexes_of_tables_that_were_never_analysed",
            never_analysed,
        ),
    ]
}

/// So many records that are due in an hour, and no statistics.
async fn backlog(conn: &mut PgConnection, records: usize) {
    run(
        conn,
        &format!(
            "ALTER TABLE tower_callback.inbox SET (autovacuum_enabled = off);
             ALTER TABLE tower_callback.payload SET (autovacuum_enabled = off);
             ALTER TABLE tower_callback.seen SET (autovacuum_enabled = off);
             WITH n AS MATERIALIZED (
                SELECT nextval('tower_callback.record_seq') seq, q.id queue
                FROM generate_series(1, {records}), tower_callback.queue q),
             s AS (INSERT INTO tower_callback.seen (seq, digest, queue, rank, k, id)
                SELECT seq, 0, queue, 0, decode(md5(seq::text), 'hex'), '' FROM n),
             p AS (INSERT INTO tower_callback.payload SELECT seq, '', '', '' FROM n)
             INSERT INTO tower_callback.inbox (seq, born, due, queue, rank, state, k, id)
             SELECT seq, 0, tower_callback.clock_1() + 3600000, queue, 0, 0,
                decode(md5(seq::text), 'hex'), '' FROM n"
        ),
    )
    .await;
}

/// The pages that a statement touches, once it is known to the session.
async fn pages(conn: &mut PgConnection, statement: &str) -> u64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}");
    let mut pages = 0;
    for _ in 0..2 {
        let rows = query(AssertSqlSafe(explain.clone()))
            .persistent(false)
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        let lines = rows.iter().map(|row| row.get::<String, _>(0));
        let line = lines
            .map(|line| line.trim().to_owned())
            .find(|line| line.starts_with("Buffers:"));
        let numbers = line.iter().flat_map(|line| line.split([' ', '=']));
        pages = numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum();
    }
    pages
}

const LEASE: &str = "SELECT * FROM tower_callback.lease_1(
    'music-video', 'events', 100, 60000, 7, 0, false, false, 5000)";

async fn empty() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    let later = record("later").with_due_in(MINUTE);
    put(&store, &later).await;
    let over_none = pages(&mut conn, LEASE).await;
    backlog(&mut conn, 100_000).await;
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

async fn never_analysed() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    put(&store, &record("later").with_due_in(MINUTE)).await;
    backlog(&mut conn, 100_000).await;
    let due: Vec<NewRecord> = (0..300).map(|n| record(&format!("due {n}"))).collect();
    store.insert(&due).await.unwrap();
    let table =
        "SELECT relpages::bigint FROM pg_class WHERE oid = 'tower_callback.inbox'::regclass";
    assert!(number(&mut conn, table).await <= 0, "somebody analysed it");
    let size = "SELECT pg_relation_size('tower_callback.inbox') / 8192";
    let whole = number(&mut conn, size).await.unsigned_abs();

    // A hundred records, each with its row, its indexes and its payload: a few pages each, and
    // not all that there are for each.
    let leased = pages(&mut conn, LEASE).await;
    assert!(
        (100..4000).contains(&leased),
        "{leased} pages of {whole} for a lease of 100"
    );
    let settle = "SELECT * FROM tower_callback.settle_1(
        (SELECT array_agg(seq ORDER BY seq) FROM tower_callback.inbox WHERE state = 1),
        (SELECT array_agg(7::bigint) FROM tower_callback.inbox WHERE state = 1),
        (SELECT array_agg(1::smallint) FROM tower_callback.inbox WHERE state = 1),
        (SELECT array_agg(0::bigint) FROM tower_callback.inbox WHERE state = 1),
        (SELECT array_agg(NULL::text) FROM tower_callback.inbox WHERE state = 1),
        false, false, 5000)";
    let settled = pages(&mut conn, settle).await;
    assert!(
        settled < 5 * whole + 8000,
        "{settled} pages of {whole} to settle 200"
    );
    let known = "SELECT * FROM tower_callback.known_1(
        (SELECT array_agg(k) FROM (SELECT k FROM tower_callback.seen LIMIT 50) x))";
    let known = pages(&mut conn, known).await;
    assert!(known < 1000, "{known} pages of {whole} to find 50 keys");
}
