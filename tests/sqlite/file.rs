//! One file: reopened, shared, on a user's pool, limited.

use std::time::Duration;

use sqlx::{Executor, Row, query, sqlite::SqliteSynchronous};
use tower_callback::store::{
    Action, CompleteErrorKind, Durability, Inbox, Inserted, Inspect, NewRecord, OpenErrorKind,
    Purged, Queue, Retention, Settled, SqliteStore, State, Store, StoreErrorKind,
};

use crate::support::{MINUTE, Place, events, lease, put, record, settle, settlement};

#[tokio::test]
async fn a_reopened_store_has_everything_that_was_acknowledged() {
    let place = Place::new();
    let store = place.open().await;
    assert_eq!(store.durability(), Durability::Durable);
    let (done, leased, waiting) = (record("done"), record("leased"), record("waiting"));
    let answers = store
        .insert(&[done.clone(), leased.clone(), waiting.clone()])
        .await
        .unwrap();
    assert_eq!(answers, [Inserted::Fresh; 3]);
    let leases = store.lease(&events(), 2, MINUTE).await.unwrap();
    let settled = settle(&store, &leases[0].lease, Action::Done).await;
    assert_eq!(settled, Settled::Applied);
    drop(store);

    let store = place.open().await;
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.pending, counts.leased, counts.done), (1, 1, 1));
    let found = store.find(&events(), b"done").await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    assert_eq!(found.settled_by, Some(leases[0].lease.token));
    assert_eq!(found.body.as_deref(), Some(&*done.body));
    let again = store
        .settle(&[
            settlement(&leases[0].lease, Action::Done),
            settlement(&leases[1].lease, Action::Done),
        ])
        .await
        .unwrap();
    assert_eq!(again, [Settled::Applied; 2]);
    assert_eq!(lease(&store, MINUTE).await.body, waiting.body);
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn two_stores_on_one_file_share_one_record_and_one_lease() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let mine = record("task");
    assert_eq!(put(&one, &mine).await, Inserted::Fresh);
    let theirs = put(&other, &record("task")).await;
    assert!(
        matches!(theirs, Inserted::Duplicate { id, state: State::Pending, .. } if id == mine.id),
        "{theirs:?}"
    );
    let leased = lease(&other, MINUTE).await;
    assert!(one.lease(&events(), 9, MINUTE).await.unwrap().is_empty());
    assert_eq!(
        settle(&one, &leased.lease, Action::Done).await,
        Settled::Applied
    );
    assert_eq!(other.counts(&events()).await.unwrap().done, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_can_be_opened_by_many_at_once() {
    let place = Place::new();
    let opening = (0..8).map(|_| tokio::spawn(SqliteStore::open(place.path())));
    let opening: Vec<_> = opening.collect();
    for (index, opened) in opening.into_iter().enumerate() {
        let store = opened.await.unwrap().unwrap();
        assert_eq!(
            put(&store, &record(&index.to_string())).await,
            Inserted::Fresh
        );
    }
}

#[tokio::test]
async fn connections_of_a_pool_are_made_durable_before_they_are_used() {
    let place = Place::new();
    let options = place.options().synchronous(SqliteSynchronous::Off);
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    let store = SqliteStore::with_pool(pool.clone()).await.unwrap();
    // The user switches it off again, behind our back.
    pool.execute("PRAGMA synchronous = OFF").await.unwrap();
    put(&store, &record("task")).await;
    let row = pool.fetch_one("PRAGMA synchronous").await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 2, "FULL");
}

#[tokio::test]
async fn a_pool_in_memory_is_refused() {
    let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
    let error = SqliteStore::with_pool(pool).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NotDurable);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_its_version() {
    let place = Place::new();
    drop(place.open().await);
    set_version(&place, 99).await;
    let error = SqliteStore::open(place.path()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
    assert!(error.to_string().contains("99"), "{error}");
    let path = place.path().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
}

/// A later release was started on the file beside this one, and has made its tables other ones.
#[tokio::test]
async fn a_process_does_not_write_to_tables_that_another_one_migrated_meanwhile() {
    let place = Place::new();
    let pool = place.pool(3).await;
    let options = SqliteStore::options();
    for store in [
        place.open().await,
        options.with_pool(pool.clone()).await.unwrap(),
    ] {
        for key in ["done", "leased", "waiting"] {
            put(&store, &record(key)).await;
        }
        let leased = store.lease(&events(), 2, MINUTE).await.unwrap();
        let [done, leased] = [&leased[0].lease, &leased[1].lease];
        settle(&store, done, Action::Done).await;
        set_version(&place, 99).await;

        let unavailable = StoreErrorKind::Unavailable;
        let error = store.insert(&[record("new")]).await.unwrap_err();
        assert_eq!(error.kind(), unavailable);
        let error = store.lease(&events(), 9, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), unavailable);
        let settlements = [settlement(leased, Action::Done)];
        let error = store.settle(&settlements).await.unwrap_err();
        assert_eq!(error.kind(), unavailable);
        let all = Retention::default().with_keys(Duration::ZERO);
        let error = store.purge(&all).await.unwrap_err();
        assert_eq!(error.kind(), unavailable);
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let error = SqliteStore::complete(&mut tx, leased).await.unwrap_err();
        assert_eq!(error.kind(), CompleteErrorKind::Database);
        tx.rollback().await.unwrap();

        set_version(&place, 2).await;
        let counts = store.counts(&events()).await.unwrap();
        assert_eq!((counts.pending, counts.leased, counts.done), (1, 1, 1));
        settle(&store, leased, Action::Done).await;
        let waiting = lease(&store, MINUTE).await.lease;
        settle(&store, &waiting, Action::Done).await;
        while store.purge(&all).await.unwrap().more {}
    }
}

async fn set_version(place: &Place, version: i64) {
    let mut conn = place.connect().await;
    query("UPDATE tower_callback_schema SET version = ?")
        .bind(version)
        .execute(&mut conn)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), [b'x'; 8192]).unwrap();
    let error = SqliteStore::open(place.path()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Io);
    let nowhere = place.file("missing").join("callbacks.db");
    let error = SqliteStore::open(nowhere).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Io);
}

#[tokio::test]
async fn quarantine_drops_its_oldest_and_takes_nothing_from_the_capacity() {
    let place = Place::new();
    let options = SqliteStore::options().with_capacity(1).with_quarantine(2);
    let store = options.open(place.path()).await.unwrap();
    let quarantine = Queue::quarantine("music-video");
    for key in ["a", "b", "c"] {
        let record = NewRecord::new(quarantine.clone(), key, key);
        assert_eq!(put(&store, &record).await, Inserted::Fresh);
        // So that one is older than the other.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let counts = store.counts(&quarantine).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (2, 1));
    assert!(store.find(&quarantine, b"a").await.unwrap().is_none());
    assert!(store.find(&quarantine, b"c").await.unwrap().is_some());

    assert_eq!(put(&store, &record("one")).await, Inserted::Fresh);
    assert_eq!(put(&store, &record("two")).await, Inserted::Full);
    let leased = lease(&store, MINUTE).await;
    settle(&store, &leased.lease, Action::Done).await;
    assert_eq!(put(&store, &record("two")).await, Inserted::Fresh);
}

#[tokio::test]
async fn purge_works_in_bounded_steps_and_says_when_there_is_more() {
    let place = Place::new();
    let store = place.open().await;
    let records: Vec<_> = (0..1200).map(|n| record(&n.to_string())).collect();
    store.insert(&records).await.unwrap();
    let leased = store.lease(&events(), 1200, MINUTE).await.unwrap();
    let done: Vec<_> = leased
        .iter()
        .map(|leased| settlement(&leased.lease, Action::Done))
        .collect();
    store.settle(&done).await.unwrap();
    let bodies = Retention::default().with_bodies(Duration::ZERO);
    let mut steps = Vec::new();
    loop {
        let Purged { records, more, .. } = store.purge(&bodies).await.unwrap();
        steps.push(records);
        if !more {
            break;
        }
    }
    assert_eq!(steps.iter().sum::<u64>(), 1200);
    assert!(steps.iter().all(|step| *step <= 500), "{steps:?}");
    let found = store.find(&events(), b"7").await.unwrap().unwrap();
    assert_eq!((found.state, found.body), (State::Done, None));
    assert!(matches!(
        put(&store, &record("7")).await,
        Inserted::Duplicate { differs: false, .. }
    ));
    assert_eq!(store.purge(&bodies).await.unwrap(), Purged::default());
    let mut conn = place.connect().await;
    let left = query("SELECT count(*) FROM tower_callback_payload").fetch_one(&mut conn);
    assert_eq!(left.await.unwrap().get::<i64, _>(0), 0, "bodies on disk");
}

#[tokio::test]
async fn an_overlong_meta_is_rejected() {
    let place = Place::new();
    let store = place.open().await;
    let long = record("task").with_meta(vec![b' '; 16 * 1024 + 1]);
    let error = store.insert(&[long]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
}
