//! What becomes of a server's machine: its disk, its files, its clock; and of its role.

use std::{fs, path::Path, time::Duration};

use libtest_mimic::Trial;
use tower_callback::{
    RedisStore,
    store::{Action, Inbox, Inserted, NewRecord, Settled, State, Store, StoreErrorKind},
};

use crate::{
    LONG, at_last, cannot_run, end, event, events, faketime, one, open, put,
    servers::redis::{Redis, missing},
    small_disk::{fill, on_server_disk},
    strace, trial, trial_that_needs,
};

pub(crate) fn trials() -> Vec<Trial> {
    let full = Trial::ignorable_test(
        "a_servers_full_disk_acknowledges_nothing_and_loses_nothing",
        || match missing() {
            Some(reason) => cannot_run(reason),
            None => on_server_disk(32, |disk| {
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
            "a_servers_corrupted_log_keeps_it_from_starting_until_it_is_restored",
            corrupted,
        ),
        trial(
            "a_server_that_became_a_replica_is_unavailable_until_it_is_none",
            replica,
        ),
        trial_that_needs(
            "a_servers_clock_that_jumps_loses_nothing_and_doubles_nothing",
            || missing().or_else(faketime::missing),
            clock,
        ),
    ]
}

async fn store(server: &Redis) -> RedisStore {
    open(server, RedisStore::options()).await.unwrap()
}

async fn unavailable(store: &RedisStore, record: &NewRecord) {
    let error = store
        .insert(std::slice::from_ref(record))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
}

/// It is taken at last, and everything is there that was acknowledged before.
async fn goes_on(store: &RedisStore, record: &NewRecord, acknowledged: &[String]) {
    let answers = at_last("it is back", || store.insert(std::slice::from_ref(record))).await;
    assert_eq!(answers, [Inserted::Fresh]);
    assert!(!acknowledged.is_empty());
    for key in acknowledged {
        let found = store.find(&events(), key.as_bytes()).await.unwrap();
        assert!(found.is_some(), "{key} was acknowledged and is lost");
    }
}

/// A server that syncs every command ends when it cannot write one.
async fn full(disk: &Path) {
    let server = Redis::start_on(disk);
    let store = store(&server).await;
    let mut acknowledged = Vec::new();
    for n in 0..10 {
        put(&store, &event(format!("before {n}"))).await;
        acknowledged.push(format!("before {n}"));
    }
    let filler = disk.join("filler");
    fill(&filler);
    let while_full = NewRecord::new(events(), "while", vec![b'x'; 100_000]);
    unavailable(&store, &while_full).await;
    fs::remove_file(&filler).unwrap();
    server.kill();
    server.run();
    goes_on(&store, &while_full, &acknowledged).await;
}

async fn failed_sync() {
    let server = Redis::start(&[]);
    let store = store(&server).await;
    put(&store, &event("before")).await;
    let broken = strace::Broken::attach(&[server.pid()], &[], "fsync,fdatasync:error=EIO");
    unavailable(&store, &event("during")).await;
    drop(broken);
    assert!(
        server.log().contains("fsync error"),
        "no sync failed: {}",
        server.log()
    );
    server.kill();
    server.run();
    // Written, though not synced: it is there, and this is its repeat.
    goes_on(&store, &event("after"), &["before".to_owned()]).await;
}

async fn corrupted() {
    let server = Redis::start(&[]);
    let store = store(&server).await;
    let keys: Vec<String> = (0..20).map(|n| format!("before {n}")).collect();
    for key in &keys {
        put(&store, &event(key.as_str())).await;
    }
    server.kill();
    let logs = fs::read_dir(server.file("appendonlydir")).unwrap();
    let log = logs.flatten().map(|entry| entry.path());
    let log = log.filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
    let log = log
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let whole = fs::read(&log).unwrap();
    let mut torn = whole.clone();
    torn[whole.len() / 2..whole.len() / 2 + 64].fill(0xa5);
    fs::write(&log, torn).unwrap();
    let refused = server.try_run().unwrap_err();
    assert!(refused.contains("Bad file format"), "{refused}");
    unavailable(&store, &event("during")).await;
    fs::write(&log, whole).unwrap();
    server.run();
    goes_on(&store, &event("during"), &keys).await;
}

/// As after a failover that made another one the primary.
async fn replica() {
    let server = Redis::start(&[]);
    let store = store(&server).await;
    put(&store, &event("before")).await;
    // Of nobody, who brings nothing.
    server.ok(&["REPLICAOF", "127.0.0.1", "1"]);
    for _ in 0..3 {
        unavailable(&store, &event("during")).await;
    }
    server.ok(&["REPLICAOF", "NO", "ONE"]);
    goes_on(&store, &event("during"), &["before".to_owned()]).await;
}

/// Set forward, it ends leases early. Set back, it delays nothing.
async fn clock() {
    const HOUR: i64 = 3600;
    let wall = faketime::WallClock::right();
    let server = Redis::start_under(&wall.wrapper());
    let store = store(&server).await;
    put(&store, &event("first")).await;
    let before = one(&store).await;
    wall.is_off_by(2 * HOUR);
    let ahead = one(&store).await;
    assert_eq!(
        (ahead.attempt, ahead.expiries),
        (2, 1),
        "its clock was not set"
    );
    assert_eq!(end(&store, &before, Action::Done).await, Settled::Stale);

    wall.is_off_by(0);
    let soon = Action::RetryIn {
        after: Duration::from_millis(50),
        error: "soon".to_owned(),
    };
    assert_eq!(end(&store, &ahead, soon).await, Settled::Applied);
    put(&store, &event("second")).await;
    let again = store
        .insert(&[event("second"), event("first")])
        .await
        .unwrap();
    assert!(
        again
            .iter()
            .all(|answer| matches!(answer, Inserted::Duplicate { .. })),
        "{again:?}"
    );
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let leased = at_last("time goes on", || async {
            let mut leased = store.lease(&events(), 1, LONG).await.unwrap();
            leased.pop().ok_or("nothing is due")
        });
        let leased = leased.await;
        assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
        ended.push(leased.key);
    }
    ended.sort();
    assert_eq!(ended, ["first", "second"]);
    for key in ["first", "second"] {
        let found = store
            .find(&events(), key.as_bytes())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, State::Done);
    }
}
