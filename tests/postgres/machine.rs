//! What becomes of a server's machine: its disk, its files, its clock.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use sqlx::{ConnectOptions as _, PgConnection, Row as _, query};
use tower_callback::store::{
    Action, Inbox, Inserted, NewRecord, PostgresOptions, PostgresStore, Settled, State, Store,
    StoreErrorKind,
};

use crate::{
    cannot_run, faketime,
    faults::at_last,
    servers::postgres::{Postgres, Stop, missing},
    small_disk::{fill, on_server_disk},
    strace,
    support::{events, lease, number, put, record, settle},
    trial, trial_that_needs,
};

pub(crate) fn trials() -> Vec<Trial> {
    let full = Trial::ignorable_test(
        "a_servers_full_disk_is_unavailable_until_there_is_room",
        || match missing() {
            Some(reason) => cannot_run(reason),
            None => on_server_disk(128, |disk| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(full(disk));
            }),
        },
    );
    vec![
        full,
        trial_that_needs(
            "a_servers_sync_that_fails_acknowledges_nothing_and_loses_nothing",
            || missing().or_else(strace::missing),
            failed_sync,
        ),
        trial(
            "a_servers_corrupted_page_is_unavailable_until_it_is_restored",
            corrupted,
        ),
        trial_that_needs(
            "a_servers_clock_that_jumps_loses_nothing_and_doubles_nothing",
            || missing().or_else(faketime::missing),
            clock,
        ),
    ]
}

fn options() -> PostgresOptions {
    PostgresStore::options()
        .with_patience(Duration::from_secs(1))
        .without_notifications()
}

async fn open(server: &Postgres) -> PostgresStore {
    options().open(&server.url("postgres")).await.unwrap()
}

/// Its body is so long, and cannot be compressed.
fn long_record(key: &str, bytes: usize) -> NewRecord {
    let body: Vec<u8> = (0..bytes).map(|_| fastrand::u8(..)).collect();
    NewRecord::new(events(), key.to_owned(), body)
}

/// Everything is there that was acknowledged.
async fn kept(store: &PostgresStore, keys: &[String]) {
    assert!(!keys.is_empty());
    let queue = events();
    for key in keys {
        let found = at_last(|| store.find(&queue, key.as_bytes())).await;
        assert!(found.is_some(), "{key} was acknowledged and is lost");
    }
}

async fn full(disk: &Path) {
    let server = Postgres::start_on(disk, &[]);
    let store = open(&server).await;
    let mut acknowledged = Vec::new();
    for n in 0..10 {
        put(&store, &long_record(&format!("before {n}"), 100_000)).await;
        acknowledged.push(format!("before {n}"));
    }
    let filler = disk.join("filler");
    fill(&filler);
    // What its files have room for goes in.
    for n in 0.. {
        let record = long_record(&format!("while {n}"), 100_000);
        match store.insert(std::slice::from_ref(&record)).await {
            Ok(answers) => assert_eq!(answers, [Inserted::Fresh]),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
                break;
            }
        }
        acknowledged.push(format!("while {n}"));
    }
    fs::remove_file(&filler).unwrap();
    let after = [long_record("after", 100_000)];
    assert_eq!(at_last(|| store.insert(&after)).await, [Inserted::Fresh]);
    kept(&store, &acknowledged).await;
}

/// The session that could not sync takes the server down with it, which then recovers from its log.
async fn failed_sync() {
    let server = Postgres::start(&[]);
    let store = open(&server).await;
    put(&store, &record("before")).await;
    let broken = strace::Broken::attach(&server.children(), &[], "fsync,fdatasync:error=EIO");
    let during = record("during");
    let error = store
        .insert(std::slice::from_ref(&during))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    drop(broken);
    let answer = at_last(|| store.insert(std::slice::from_ref(&during))).await;
    assert_eq!(answer, [Inserted::Fresh]);
    kept(&store, &["before".to_owned(), "during".to_owned()]).await;
    let log = fs::read_to_string(server.log()).unwrap();
    assert!(log.contains("PANIC"), "no sync failed: {log}");
}

async fn path_of(conn: &mut PgConnection, table: &str) -> String {
    let row = query("SELECT pg_relation_filepath($1::regclass)").bind(table);
    row.fetch_one(conn).await.unwrap().get(0)
}

/// Its pages have checksums, as they have in every server since version 18.
async fn corrupted() {
    let server = Postgres::start(&[]);
    let store = open(&server).await;
    put(&store, &record("before")).await;
    let mut conn = server.options("postgres").connect().await.unwrap();
    assert_eq!(
        number(&mut conn, "SELECT count(*) FROM tower_callback.seen").await,
        1
    );
    let path = server.file(&path_of(&mut conn, "tower_callback.seen").await);
    drop(conn);
    server.stop(Stop::Fast);
    let whole = fs::read(&path).unwrap();
    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    overwrite(&path, &torn);
    server.run();

    let during = record("during");
    let start = Instant::now();
    loop {
        let error = store
            .insert(std::slice::from_ref(&during))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        // The first calls may only learn that their connections are gone.
        if format!("{error:?}").contains("invalid page") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{error:?}");
    }
    server.stop(Stop::Fast);
    overwrite(&path, &whole);
    server.run();
    let answer = at_last(|| store.insert(std::slice::from_ref(&during))).await;
    assert_eq!(answer, [Inserted::Fresh]);
    kept(&store, &["before".to_owned()]).await;
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// Set forward, it ends leases early. Set back, it delays what was to come later, and nothing else.
async fn clock() {
    const HOUR: i64 = 3600;
    let wall = faketime::WallClock::right();
    let server = Postgres::start_under(&wall.wrapper(), &[]);
    let store = open(&server).await;
    put(&store, &record("first")).await;
    let hour = Duration::from_secs(3600);
    let before = lease(&store, hour).await;
    wall.is_off_by(2 * HOUR);
    let ahead = lease(&store, hour).await;
    assert_eq!(
        (ahead.attempt, ahead.expiries),
        (2, 1),
        "its clock was not set"
    );
    assert_eq!(
        settle(&store, &before.lease, Action::Done).await,
        Settled::Stale
    );
    let later = Action::RetryIn {
        after: hour,
        error: "later".to_owned(),
    };
    assert_eq!(settle(&store, &ahead.lease, later).await, Settled::Applied);

    wall.is_off_by(0);
    assert!(store.lease(&events(), 9, hour).await.unwrap().is_empty());
    // What comes now is known, kept, leased once and ended as ever.
    put(&store, &record("second")).await;
    let again = store
        .insert(&[record("second"), record("first")])
        .await
        .unwrap();
    assert!(
        again
            .iter()
            .all(|answer| matches!(answer, Inserted::Duplicate { .. })),
        "{again:?}"
    );
    let second = lease(&store, hour).await;
    assert_eq!(second.key, "second");
    assert!(store.lease(&events(), 9, hour).await.unwrap().is_empty());
    assert_eq!(
        settle(&store, &second.lease, Action::Done).await,
        Settled::Applied
    );

    // The time comes for what was delayed.
    wall.is_off_by(4 * HOUR);
    let first = lease(&store, hour).await;
    assert_eq!(first.key, "first");
    assert_eq!(
        settle(&store, &first.lease, Action::Done).await,
        Settled::Applied
    );
    for key in ["first", "second"] {
        let found = store
            .find(&events(), key.as_bytes())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, State::Done);
    }
}
