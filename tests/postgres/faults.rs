//! What users' settings, servers and networks do to the promise.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgPoolOptions};
use tower_callback::store::{
    Action, Inbox, Inserted, NewRecord, OpenErrorKind, PostgresStore, Queue, Retention, Settled,
    State, Store, StoreError, StoreErrorKind,
};

use crate::{
    servers::{
        postgres::{Postgres, Stop, options, url},
        proxy::{Proxy, Way},
    },
    support::{MINUTE, Place, events, number, put, record, run, settlement},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "every_insert_is_synced_though_synchronous_commit_is_off",
            synced,
        ),
        trial(
            "a_server_without_fsync_is_refused_and_noticed_later",
            fsync_off,
        ),
        trial(
            "a_synchronous_standby_that_is_required_must_be_there",
            standby,
        ),
        trial(
            "nothing_is_acknowledged_that_no_synchronous_standby_has",
            real_standby,
        ),
        trial(
            "calls_that_were_given_up_do_not_use_up_the_server",
            given_up,
        ),
        trial(
            "a_server_that_needs_a_vacuum_is_unavailable_and_rejects_nothing",
            wraparound,
        ),
        trial("an_exhausted_pool_is_unavailable_and_recovers", exhausted),
        trial(
            "a_restart_of_the_server_loses_nothing_and_needs_none_of_ours",
            restart,
        ),
        trial(
            "a_server_that_became_read_only_is_unavailable_until_it_is_not",
            read_only,
        ),
        trial(
            "a_stalled_connection_is_given_up_and_not_used_again",
            stalled,
        ),
        trial(
            "a_call_whose_connection_was_cut_anywhere_can_be_repeated",
            cut,
        ),
        trial("a_dropped_call_leaves_no_transaction_open", dropped),
    ]
}

fn unavailable<T: std::fmt::Debug>(told: Result<T, StoreError>) {
    let error = told.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
}

/// Repeats until it succeeds.
pub(crate) async fn at_last<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let start = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
                assert!(
                    start.elapsed() < Duration::from_secs(60),
                    "never: {error:?}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

const SYNCS: &str = "SELECT wal_sync FROM pg_stat_wal";

async fn synced() {
    const INSERTS: usize = 60;
    let server = Postgres::start(&[("synchronous_commit", "off"), ("wal_writer_delay", "10s")]);
    let mut conn = server.options("postgres").connect().await.unwrap();

    // What such a server does otherwise.
    run(&mut conn, "CREATE TABLE plain (n integer)").await;
    let before = number(&mut conn, SYNCS).await;
    let mut plain = server.options("postgres").connect().await.unwrap();
    for _ in 0..INSERTS {
        run(&mut plain, "INSERT INTO plain VALUES (1)").await;
    }
    plain.close().await.unwrap();
    let plain = number(&mut conn, SYNCS).await - before;
    assert!(
        plain < INSERTS as i64 / 4,
        "{plain} syncs: the server syncs by itself"
    );

    let options = PostgresStore::options().without_notifications();
    let store = options.open(&server.url("postgres")).await.unwrap();
    let before = number(&mut conn, SYNCS).await;
    for n in 0..INSERTS {
        put(&store, &record(&format!("task {n}"))).await;
    }
    // A session tells its counts when it ends.
    drop(store);
    let start = Instant::now();
    loop {
        let syncs = number(&mut conn, SYNCS).await - before;
        if syncs >= INSERTS as i64 {
            return;
        }
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(30),
            "{syncs} syncs for {INSERTS} inserts"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn fsync_off() {
    let server = Postgres::start(&[]);
    let url = server.url("postgres");
    let store = PostgresStore::open(&url).await.unwrap();
    put(&store, &record("task")).await;
    let mut conn = server.options("postgres").connect().await.unwrap();
    set(&mut conn, "fsync", "off").await;
    unavailable(store.insert(&[record("other")]).await);
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NotDurable);
    assert!(error.to_string().contains("fsync=off"), "{error}");
    let options = PostgresStore::options().dangerously_without_fsync();
    let dared = options.open(&url).await.unwrap();
    assert_eq!(put(&dared, &record("other")).await, Inserted::Fresh);
}

/// Changes a setting of a server, and waits until it counts.
async fn set(conn: &mut PgConnection, name: &str, value: &str) {
    run(conn, &format!("ALTER SYSTEM SET {name} = '{value}'")).await;
    run(conn, "SELECT pg_reload_conf()").await;
    let now = format!("SELECT (current_setting('{name}') = '{value}')::int::bigint");
    while number(conn, &now).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Other sessions learn of it with their next statement, a moment later.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn standby() {
    let server = Postgres::start(&[]);
    let url = server.url("postgres");
    let required = || {
        PostgresStore::options()
            .require_sync_standby()
            .with_call_timeout(Duration::from_millis(700))
            .without_notifications()
    };
    let plain = PostgresStore::open(&url).await.unwrap();
    let error = required().open(&url).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NotDurable);
    assert!(error.to_string().contains("standby"), "{error}");
    put(&plain, &record("early")).await;

    let mut conn = server.options("postgres").connect().await.unwrap();
    set(&mut conn, "synchronous_standby_names", "absent").await;
    let store = required().open(&url).await.unwrap();
    // Nobody confirms it; and a duplicate is no better than its first copy.
    unavailable(store.insert(&[record("task")]).await);
    unavailable(store.insert(&[record("early")]).await);
    set(&mut conn, "synchronous_standby_names", "").await;
    unavailable(store.insert(&[record("task")]).await);
    put(&plain, &record("late")).await;
}

/// Its wait for the standby is over when there shall be none any more, and the server says "committed".
async fn real_standby() {
    let server = Postgres::start(&[]);
    let url = server.url("postgres");
    PostgresStore::open(&url).await.unwrap();
    let standby = server.standby();
    let mut conn = server.options("postgres").connect().await.unwrap();
    set(&mut conn, "synchronous_standby_names", "*").await;
    let required = |limit| {
        PostgresStore::options()
            .require_sync_standby()
            .with_patience(Duration::from_millis(500))
            .with_call_timeout(limit)
            .without_notifications()
    };
    let minute = required(MINUTE).open(&url).await.unwrap();
    let first = [record("first")];
    assert_eq!(at_last(|| minute.insert(&first)).await, [Inserted::Fresh]);

    standby.stop(Stop::Fast);
    let short = required(Duration::from_millis(700));
    let short = short.open(&url).await.unwrap();
    let second = record("second");
    unavailable(short.insert(std::slice::from_ref(&second)).await);
    let third = [record("third")];
    // Nothing is written for what is known, so that nothing waits.
    unavailable(minute.insert(&[record("first").with_rank(1)]).await);
    let hanging = tokio::spawn({
        let (store, third) = (minute.clone(), third.clone());
        async move { store.insert(&third).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while number(&mut conn, waiting).await < 2 {
        assert!(!hanging.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    set(&mut conn, "synchronous_standby_names", "").await;
    unavailable(hanging.await.unwrap());
    // It is visible, and no better for that.
    unavailable(minute.insert(&third).await);
    set(&mut conn, "synchronous_standby_names", "*").await;
    unavailable(short.insert(&third).await);
    unavailable(short.insert(&[record("third")]).await);
    standby.run();
    assert_eq!(at_last(|| minute.insert(&third)).await, [Inserted::Fresh]);
    let answer = at_last(|| minute.insert(std::slice::from_ref(&second))).await;
    assert_eq!(answer, [Inserted::Fresh]);
}

/// A session that waits for a standby does not notice that nobody waits for it.
async fn given_up() {
    let server = Postgres::start(&[]);
    let options = PostgresStore::options()
        .with_connections(2)
        .with_patience(Duration::from_millis(300))
        .with_call_timeout(Duration::from_secs(1))
        .without_notifications();
    let url = server.url("postgres");
    PostgresStore::open(&url).await.unwrap();
    let mut conn = server.options("postgres").connect().await.unwrap();
    let store = options.open(&url).await.unwrap();
    // The name of its queue is known, for which others would wait.
    put(&store, &record("before")).await;
    set(&mut conn, "synchronous_standby_names", "absent").await;
    for n in 0..10 {
        unavailable(store.insert(&[record(&format!("task {n}"))]).await);
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let sessions = number(&mut conn, waiting).await;
    assert!((1..=4).contains(&sessions), "{sessions} sessions wait");
    set(&mut conn, "synchronous_standby_names", "").await;
    let again = [record("again")];
    assert_eq!(at_last(|| store.insert(&again)).await, [Inserted::Fresh]);
}

/// SQLSTATE 54000 is of a class of limits that values exceed.
async fn wraparound() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    run(
        &mut conn,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'not accepting commands' USING ERRCODE = '54000'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON tower_callback.seen
            FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    )
    .await;
    unavailable(store.insert(&[record("task")]).await);
    run(&mut conn, "DROP FUNCTION refuse CASCADE").await;
    put(&store, &record("task")).await;
    // What no server ever takes is told from that.
    let nul = NewRecord::new(Queue::events("a\0b"), "task", "{}");
    let error = store.insert(&[nul]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
}

async fn exhausted() {
    let place = Place::new().await;
    let pool = place.pool(2).await;
    let store = PostgresStore::with_pool(pool.clone()).await.unwrap();
    put(&store, &record("task")).await;
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    unavailable(store.insert(&[record("other")]).await);
    unavailable(store.find(&events(), b"task").await);
    drop(held);
    assert_eq!(put(&store, &record("other")).await, Inserted::Fresh);
}

async fn restart() {
    let server = Postgres::start(&[]);
    let options = PostgresStore::options().with_patience(Duration::from_secs(1));
    let store = options.open(&server.url("postgres")).await.unwrap();
    let queue = events();
    for round in 0..3 {
        let acknowledged = [record(&format!("before {round}"))];
        at_last(|| store.insert(&acknowledged)).await;
        let held = at_last(|| store.lease(&queue, 9, MINUTE)).await;
        let done = [settlement(&held[0].lease, Action::Done)];
        server.stop(Stop::Immediate);
        let during = [record(&format!("during {round}"))];
        unavailable(store.insert(&during).await);
        unavailable(store.settle(&done).await);
        server.run();
        let answer = at_last(|| store.insert(&during)).await;
        assert_eq!(answer, [Inserted::Fresh]);
        let found = at_last(|| store.find(&queue, &acknowledged[0].key)).await;
        assert_eq!(
            found.unwrap().state,
            State::Leased,
            "what was acknowledged is lost"
        );
        assert_eq!(at_last(|| store.settle(&done)).await, [Settled::Applied]);
        let next = at_last(|| store.lease(&queue, 9, MINUTE)).await;
        assert_eq!(
            next.len(),
            1,
            "what was inserted meanwhile, and nothing else"
        );
        let done = [settlement(&next[0].lease, Action::Done)];
        assert_eq!(at_last(|| store.settle(&done)).await, [Settled::Applied]);
    }
}

/// As after a failover to a standby that is not promoted yet: SQLSTATE 25006.
async fn read_only() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::open(&server.url("postgres")).await.unwrap();
    put(&store, &record("task")).await;
    let mut conn = server.options("postgres").connect().await.unwrap();
    set(&mut conn, "default_transaction_read_only", "on").await;
    for _ in 0..3 {
        unavailable(store.insert(&[record("other")]).await);
        unavailable(store.lease(&events(), 1, MINUTE).await);
    }
    run(&mut conn, "SET default_transaction_read_only = off").await;
    run(
        &mut conn,
        "ALTER SYSTEM RESET default_transaction_read_only",
    )
    .await;
    run(&mut conn, "SELECT pg_reload_conf()").await;
    let answer = at_last(|| store.insert(&[])).await;
    assert_eq!(answer, []);
    let other = [record("other")];
    assert_eq!(at_last(|| store.insert(&other)).await, [Inserted::Fresh]);
}

async fn stalled() {
    let place = Place::new().await;
    let proxy = Proxy::to(place.server.address());
    let options = PostgresStore::options()
        .with_call_timeout(Duration::from_millis(500))
        .with_patience(Duration::from_millis(400))
        .without_notifications();
    let store = options
        .open(&url(proxy.address(), &place.database))
        .await
        .unwrap();
    put(&store, &record("task")).await;
    proxy.stall();
    let other = [record("other")];
    unavailable(store.insert(&other).await);
    unavailable(store.lease(&events(), 1, MINUTE).await);
    // What was held back may still arrive: the record is the same, so that it is fresh either way.
    proxy.pass();
    let answer = at_last(|| store.insert(&other)).await;
    assert_eq!(answer, [Inserted::Fresh]);
    let queue = events();
    let leased = at_last(|| store.lease(&queue, 9, Duration::ZERO)).await;
    assert!(!leased.is_empty());
}

/// After so many bytes of a request or an answer, in every call.
async fn cut() {
    let place = Place::new().await;
    let proxy = Proxy::to(place.server.address());
    // One connection, so that what was prepared is prepared where the cut is; and nothing is asked of
    // it before a call.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .connect_lazy_with(options(proxy.address(), &place.database));
    let chosen = PostgresStore::options().without_notifications();
    let store = chosen.with_pool(pool).await.unwrap();
    let requests = [0, 1, 6, 7, 30, 100, 200, 400].map(|bytes| (Way::Request, bytes));
    let answers = [0, 1, 6, 7, 12, 30, 100].map(|bytes| (Way::Answer, bytes));
    let mut failed = [0; 6];
    // Of these, nobody learned that they were committed.
    let mut committed = 0;
    let straight = place.open().await;
    for (n, (way, bytes)) in requests.into_iter().chain(answers).enumerate() {
        let case = format!("{way:?} {bytes}");
        let key = format!("task {n}");
        // Statements are prepared on the connection that will be cut.
        let warm = async || {
            proxy.pass();
            let queue = events();
            at_last(|| store.find(&queue, b"task")).await;
            let other = [NewRecord::new(Queue::events("warm"), key.clone(), "{}")];
            at_last(|| store.insert(&other)).await;
            proxy.cut_after(way, bytes);
        };

        let first = [record(&key)];
        warm().await;
        let lost = store.insert(&first).await.is_err();
        failed[0] += usize::from(lost);
        let found = straight.find(&events(), key.as_bytes()).await.unwrap();
        committed += usize::from(lost && found.is_some());
        proxy.pass();
        let answer = at_last(|| store.insert(&first)).await;
        assert_eq!(answer, [Inserted::Fresh], "{case}");

        let better = [record(&key).with_rank(1)];
        warm().await;
        let told = store.insert(&better).await;
        failed[1] += usize::from(told.is_err());
        proxy.pass();
        let answer = at_last(|| store.insert(&better)).await;
        assert!(
            matches!(answer[0], Inserted::Fresh | Inserted::Upgraded),
            "{case}: {answer:?}"
        );
        let found = at_last(|| store.find(&first[0].queue, key.as_bytes())).await;
        assert_eq!(found.unwrap().id, better[0].id, "{case}");

        warm().await;
        let told = store.lease(&events(), 9, Duration::ZERO).await;
        failed[2] += usize::from(told.is_err());
        proxy.pass();
        let queue = events();
        let leased = at_last(|| store.lease(&queue, 9, MINUTE)).await;
        assert_eq!(
            leased.len(),
            1,
            "{case}: a record was lost or is there twice"
        );
        let held = &leased[0].lease;

        let done = [settlement(held, Action::Done)];
        warm().await;
        failed[3] += usize::from(store.settle(&done).await.is_err());
        proxy.pass();
        let settled = at_last(|| store.settle(&done)).await;
        assert_eq!(settled, [Settled::Applied], "{case}");

        warm().await;
        failed[4] += usize::from(store.find(&events(), key.as_bytes()).await.is_err());
        proxy.pass();
        let found = at_last(|| store.find(&queue, key.as_bytes()))
            .await
            .unwrap();
        assert_eq!(
            (found.state, found.settled_by),
            (State::Done, Some(held.token)),
            "{case}"
        );

        let everything = Retention::default().with_keys(Duration::ZERO);
        warm().await;
        failed[5] += usize::from(store.purge(&everything).await.is_err());
        proxy.pass();
        at_last(|| store.purge(&everything)).await;
        assert!(
            at_last(|| store.find(&queue, key.as_bytes()))
                .await
                .is_none(),
            "{case}"
        );
    }
    assert!(committed > 0, "no answer of a commit was lost");
    assert!(
        failed.iter().all(|failed| *failed > 2),
        "the cuts did not hit: {failed:?}"
    );
}

async fn dropped() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    run(
        &mut conn,
        "BEGIN; LOCK TABLE tower_callback.seen IN ACCESS EXCLUSIVE MODE",
    )
    .await;
    let first = [record("task")];
    tokio::select! {
        told = store.insert(&first) => panic!("{told:?}"),
        () = async {
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
            while number(&mut conn, waiting).await == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    run(&mut conn, "ROLLBACK").await;
    // Whether it happened or not, it is repeated; and nothing is left open.
    assert_eq!(at_last(|| store.insert(&first)).await, [Inserted::Fresh]);
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(number(&mut conn, open).await, 0);
}
