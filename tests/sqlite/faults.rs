//! What fails around the file: the lock, the disk, the file itself.

use std::{fs, time::Duration};

use sqlx::{Executor, Row, query};
use tower_callback::store::{
    Action, Inbox, Inserted, Retention, Settled, SqliteStore, Store, StoreErrorKind,
};

use crate::support::{MINUTE, Place, events, lease, put, record, settle, settlement};

/// The driver's own busy timeout.
const PATIENCE: Duration = Duration::from_secs(5);

async fn is_unavailable(store: &SqliteStore, key: &str) -> bool {
    match store.insert(&[record(key)]).await {
        Ok(answers) => {
            assert_eq!(answers, [Inserted::Fresh]);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            true
        }
    }
}

#[tokio::test]
async fn a_database_locked_by_somebody_else_is_unavailable_until_it_is_not() {
    let place = Place::new();
    let options = SqliteStore::options().with_busy_timeout(Duration::from_millis(20));
    let store = options.open(place.path()).await.unwrap();
    put(&store, &record("task")).await;
    let leased = lease(&store, MINUTE).await.lease;

    let mut somebody = place.connect().await;
    somebody.execute("BEGIN IMMEDIATE").await.unwrap();
    assert!(is_unavailable(&store, "other").await);
    let heartbeat = Action::Extend { ttl: MINUTE };
    assert_eq!(settle(&store, &leased, heartbeat).await, Settled::Busy);
    let done = [settlement(&leased, Action::Done)];
    let error = store.settle(&done).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    // Nothing is due, and to see that takes no lock.
    assert!(store.lease(&events(), 9, MINUTE).await.unwrap().is_empty());
    assert!(store.find(&events(), b"task").await.unwrap().is_some());

    somebody.execute("ROLLBACK").await.unwrap();
    assert!(!is_unavailable(&store, "other").await);
    assert_eq!(
        settle(&store, &leased, Action::Done).await,
        Settled::Applied
    );
    assert_eq!(place.integrity().await, "ok");
}

/// Heartbeats do not keep the only lane to the lock for as long as others may wait for it.
#[tokio::test]
async fn a_heartbeat_gives_up_on_a_lock_long_before_others_do_and_leaves_them_their_patience() {
    let place = Place::new();
    let pool = place.pool(1).await;
    let store = SqliteStore::with_pool(pool.clone()).await.unwrap();
    put(&store, &record("task")).await;
    let leased = lease(&store, MINUTE).await.lease;
    let heartbeat = || Action::Extend { ttl: MINUTE };
    assert_eq!(settle(&store, &leased, heartbeat()).await, Settled::Applied);
    let timeout = pool.fetch_one("PRAGMA busy_timeout").await.unwrap();
    assert_eq!(timeout.get::<i64, _>(0), PATIENCE.as_millis() as i64);

    let options = SqliteStore::options().with_busy_timeout(PATIENCE / 2);
    let patient = options.open(place.path()).await.unwrap();
    let mut somebody = place.connect().await;
    somebody.execute("BEGIN IMMEDIATE").await.unwrap();
    tokio::select! {
        answer = settle(&store, &leased, heartbeat()) => assert_eq!(answer, Settled::Busy),
        _ = is_unavailable(&patient, "other") => panic!("the heartbeat waits as long as others"),
    }
    let timeout = pool.fetch_one("PRAGMA busy_timeout").await.unwrap();
    assert_eq!(timeout.get::<i64, _>(0), PATIENCE.as_millis() as i64);
}

/// Nobody has as much free space as the second store asks for.
#[cfg(unix)]
#[tokio::test]
async fn below_the_reserve_nothing_is_inserted_and_everything_is_settled() {
    let place = Place::new();
    let store = place.open().await;
    for key in ["done", "retried"] {
        put(&store, &record(key)).await;
    }
    let options = SqliteStore::options().with_reserve(u64::MAX);
    let reserved = options.open(place.path()).await.unwrap();
    assert!(is_unavailable(&reserved, "other").await);
    let leased = reserved.lease(&events(), 9, MINUTE).await.unwrap();
    assert_eq!(leased.len(), 2);
    let again = Action::RetryIn {
        after: MINUTE,
        error: "later".to_owned(),
    };
    for (leased, action) in leased.iter().zip([Action::Done, again]) {
        let settled = settle(&reserved, &leased.lease, action).await;
        assert_eq!(settled, Settled::Applied);
    }
    let all = Retention::default()
        .with_bodies(Duration::ZERO)
        .with_keys(Duration::ZERO);
    assert!(reserved.purge(&all).await.unwrap().records > 0);
    assert!(!is_unavailable(&store, "other").await, "there is room");
}

#[tokio::test]
async fn a_connection_that_cannot_write_is_replaced() {
    let place = Place::new();
    let pool = place.pool(1).await;
    let store = SqliteStore::with_pool(pool.clone()).await.unwrap();
    pool.execute("PRAGMA query_only = ON").await.unwrap();
    assert!(is_unavailable(&store, "task").await);
    assert!(!is_unavailable(&store, "task").await);
}

#[tokio::test]
async fn a_transaction_left_open_on_a_pooled_connection_spoils_nothing() {
    let place = Place::new();
    let pool = place.pool(1).await;
    let store = SqliteStore::with_pool(pool.clone()).await.unwrap();
    query("CREATE TABLE t (x)").execute(&pool).await.unwrap();
    pool.execute("BEGIN; INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    assert!(is_unavailable(&store, "task").await);
    assert!(!is_unavailable(&store, "task").await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_replaced_is_opened_anew() {
    let place = Place::new();
    let store = place.open().await;
    put(&store, &record("before")).await;
    let leased = lease(&store, MINUTE).await.lease;
    for suffix in ["", "-wal", "-shm"] {
        let from = place.file(&format!("callbacks.db{suffix}"));
        fs::rename(from, place.file(&format!("old.db{suffix}"))).unwrap();
    }
    assert!(is_unavailable(&store, "task").await, "there is no file");
    assert!(!place.path().exists(), "none is made in secret");

    let other = Place::new();
    drop(other.open().await);
    fs::copy(other.path(), place.path()).unwrap();
    assert_eq!(put(&store, &record("task")).await, Inserted::Fresh);
    assert_eq!(settle(&store, &leased, Action::Done).await, Settled::Stale);
    let seen = place.open().await;
    assert!(seen.find(&events(), b"task").await.unwrap().is_some());
    assert!(seen.find(&events(), b"before").await.unwrap().is_none());

    let old = SqliteStore::open(place.file("old.db")).await.unwrap();
    assert_eq!(settle(&old, &leased, Action::Done).await, Settled::Applied);
}
