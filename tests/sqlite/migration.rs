//! Files of earlier and later releases.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Row, query, raw_sql};
use tower_callback::store::{
    Action, Inbox, Inserted, Lease, LeaseToken, NewRecord, OpenErrorKind, Queue, RecordId, Settled,
    SqliteStore, State, Store, StoreErrorKind,
    inspect::{Inspect, Listing, Requeued},
};

use super::support::{MINUTE, Place, events, lease, put, record, settle};

/// A file as the release with version 1 of the tables left it: a record in each state, one of them
/// leased for a century.
const VERSION_1: &str = include_str!("version-1.sql");

async fn file(place: &Place, sql: &'static str) {
    let mut conn = place.connect().await;
    raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut conn)
        .await
        .unwrap();
    raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

async fn set_version(place: &Place, version: i64) {
    let mut conn = place.connect().await;
    let update = format!("UPDATE tower_callback_schema SET version = {version}");
    query(AssertSqlSafe(update))
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}

async fn version(place: &Place) -> i64 {
    let mut conn = place.connect().await;
    let row = query("SELECT version FROM tower_callback_schema").fetch_one(&mut conn);
    row.await.unwrap().get(0)
}

fn lease_of_the_file() -> Lease {
    let id = 0xfbd5_e2de_b803_1eed_2956_0ea7_e7c6_fb65_u128;
    let token = 0xfb30_5ee7_f12f_981b_f082_4a31_a873_922c_u128;
    Lease::new(
        events(),
        RecordId::from_bytes(id.to_be_bytes()),
        LeaseToken::from_bytes(token.to_be_bytes()),
    )
}

/// What the file held is there, and goes on.
async fn holds_what_it_held(place: &Place, store: &SqliteStore) {
    for (key, state, error) in [
        ("remembered", Some(State::Done), None),
        ("done", Some(State::Done), None),
        ("disowned", None, None),
        ("dead", Some(State::Dead), Some("given up")),
        ("failed", Some(State::Pending), Some("not yet")),
        ("leased", Some(State::Leased), None),
        ("pending", Some(State::Pending), None),
    ] {
        let found = store.find(&events(), key.as_bytes()).await.unwrap();
        let told = found.as_ref().map(|found| found.state);
        assert_eq!(told, state, "{key}");
        let error_now = found.and_then(|found| found.error);
        assert_eq!(error_now.as_deref(), error, "{key}");
    }
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.pending, counts.leased), (2, 1));
    assert_eq!((counts.done, counts.dead), (2, 1));
    let counts = store
        .counts(&Queue::quarantine("music-video"))
        .await
        .unwrap();
    assert_eq!(counts.pending, 1);

    let old = lease_of_the_file();
    assert_eq!(
        settle(store, &old, Action::Extend { ttl: MINUTE }).await,
        Settled::Applied
    );
    let error = "not yet".to_owned();
    let retry = Action::RetryIn {
        after: MINUTE,
        error,
    };
    assert_eq!(settle(store, &old, retry).await, Settled::Applied);
    let looked = store.look(&events(), old.id).await.unwrap().unwrap();
    assert_eq!(looked.failures.len(), 1);

    let dead = store
        .list(&events(), &Listing::of(State::Dead))
        .await
        .unwrap()
        .records;
    assert_eq!(dead.len(), 1);
    let looked = store.look(&events(), dead[0].id).await.unwrap().unwrap();
    let failure = &looked.failures[0];
    assert_eq!((failure.attempt, &*failure.error), (2, "given up"));
    assert_eq!(
        store.requeue(&events(), &[dead[0].id]).await.unwrap(),
        [Requeued::Applied]
    );

    let repeat = put(store, &record("remembered")).await;
    assert!(matches!(repeat, Inserted::Duplicate { .. }), "{repeat:?}");
    assert_eq!(put(store, &record("disowned")).await, Inserted::Fresh);
    assert_eq!(store.lease(&events(), 9, MINUTE).await.unwrap().len(), 3);
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn a_file_of_version_1_is_upgraded_and_holds_what_it_held() {
    let place = Place::new();
    file(&place, VERSION_1).await;
    let store = place.open().await;
    assert_eq!(version(&place).await, 2);
    holds_what_it_held(&place, &store).await;
}

#[tokio::test]
async fn a_database_of_the_users_with_version_1_is_upgraded_on_his_pool() {
    let place = Place::new();
    file(&place, VERSION_1).await;
    let store = SqliteStore::with_pool(place.pool(4).await).await.unwrap();
    assert_eq!(version(&place).await, 2);
    holds_what_it_held(&place, &store).await;
}

#[tokio::test]
async fn many_that_open_a_file_of_version_1_at_once_upgrade_it_once() {
    let place = Place::new();
    file(&place, VERSION_1).await;
    let opening = (0..10).map(|_| {
        let path = place.path();
        tokio::spawn(async move { SqliteStore::open(path).await.unwrap() })
    });
    let opening: Vec<_> = opening.collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap());
    }
    assert_eq!(version(&place).await, 2);
    holds_what_it_held(&place, &stores[7]).await;
}

#[tokio::test]
async fn a_file_of_a_later_release_is_refused_with_both_versions_and_left_alone() {
    let place = Place::new();
    drop(place.open().await);
    set_version(&place, 3).await;
    let on_pool = SqliteStore::with_pool(place.pool(4).await)
        .await
        .unwrap_err();
    let on_file = SqliteStore::open(place.path()).await.unwrap_err();
    for error in [on_file, on_pool] {
        assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
        let text = error.to_string();
        assert!(
            text.contains("version 3") && text.contains("up to 2"),
            "{text}"
        );
    }
    assert_eq!(version(&place).await, 3);
}

#[tokio::test]
async fn who_is_at_work_while_a_later_release_upgrades_the_file_writes_nothing_more() {
    let place = Place::new();
    let store = place.open().await;
    put(&store, &record("dead")).await;
    let leased = lease(&store, MINUTE).await;
    let reason = String::new();
    settle(&store, &leased.lease, Action::Dead { reason }).await;
    set_version(&place, 3).await;
    let ids = [leased.lease.id];
    let requeued = store.requeue(&events(), &ids).await.unwrap_err();
    let deleted = store.delete(&events(), &ids).await.unwrap_err();
    let inserted = store
        .insert(&[NewRecord::new(events(), "new", "")])
        .await
        .unwrap_err();
    for error in [requeued, deleted, inserted] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    set_version(&place, 2).await;
    let found = store.find(&events(), b"dead").await.unwrap().unwrap();
    assert_eq!(found.state, State::Dead);
}

#[tokio::test]
async fn failures_go_with_their_record() {
    let place = Place::new();
    let store = place.open().await;
    for (key, last) in [("done", Action::Done), ("disowned", Action::Disown)] {
        put(&store, &record(key)).await;
        let leased = lease(&store, MINUTE).await;
        let after = Duration::ZERO;
        let error = "not yet".to_owned();
        settle(&store, &leased.lease, Action::RetryIn { after, error }).await;
        let leased = lease(&store, MINUTE).await;
        settle(&store, &leased.lease, last).await;
    }
    let nothing = tower_callback::store::Retention::default().with_bodies(Duration::ZERO);
    store.purge(&nothing).await.unwrap();
    let mut conn = place.connect().await;
    let left = query("SELECT count(*) FROM tower_callback_failure").fetch_one(&mut conn);
    assert_eq!(left.await.unwrap().get::<i64, _>(0), 0);
}
