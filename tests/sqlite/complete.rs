//! Done, inside the user's own transaction.

use std::time::Duration;

use sqlx::{Connection, Row, SqliteConnection, query};
use tower_callback::store::{
    Action, CompleteErrorKind, Inserted, Lease, Retention, Settled, SqliteStore, State, Store,
};

use crate::{
    cancelled::{MOST, poll_times},
    support::{MINUTE, Place, events, lease, put, record, settle},
};

async fn orders(conn: &mut SqliteConnection) -> i64 {
    let row = query("SELECT count(*) FROM orders").fetch_one(conn);
    row.await.unwrap().get(0)
}

async fn user(place: &Place) -> SqliteConnection {
    let mut conn = place.connect().await;
    query("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
        .execute(&mut conn)
        .await
        .unwrap();
    conn
}

/// Why a lease cannot be completed, in a transaction of its own.
async fn refused(conn: &mut SqliteConnection, lease: &Lease) -> CompleteErrorKind {
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = SqliteStore::complete(&mut tx, lease).await.unwrap_err();
    tx.rollback().await.unwrap();
    error.kind()
}

#[tokio::test]
async fn the_record_is_done_when_the_transaction_commits() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    query("INSERT INTO orders DEFAULT VALUES")
        .execute(&mut *tx)
        .await
        .unwrap();
    SqliteStore::complete(&mut tx, &lease).await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Leased, "not before the commit");
    tx.commit().await.unwrap();

    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    assert_eq!(found.settled_by, Some(lease.token));
    assert_eq!(orders(&mut conn).await, 1);
    assert!(matches!(
        put(&store, &record("task")).await,
        Inserted::Duplicate {
            state: State::Done,
            ..
        }
    ));
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_completes_nothing() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    SqliteStore::complete(&mut tx, &lease).await.unwrap();
    tx.rollback().await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Leased);
    assert_eq!(settle(&store, &lease, Action::Done).await, Settled::Applied);
}

#[tokio::test]
async fn a_lease_is_completed_once() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    SqliteStore::complete(&mut tx, &lease).await.unwrap();
    tx.commit().await.unwrap();
    // The answer to the commit was lost, and the whole transaction is repeated.
    let kind = refused(&mut conn, &lease).await;
    assert_eq!(kind, CompleteErrorKind::Completed);
}

#[tokio::test]
async fn a_lease_that_was_settled_without_a_transaction_is_lost_and_not_completed() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    for action in [Action::Done, Action::Disown] {
        put(&store, &record("task")).await;
        let lease = lease(&store, MINUTE).await.lease;
        settle(&store, &lease, action.clone()).await;
        let kind = refused(&mut conn, &lease).await;
        assert_eq!(kind, CompleteErrorKind::Lost, "{action:?}");
        store
            .purge(&Retention::default().with_keys(Duration::ZERO))
            .await
            .unwrap();
    }
}

/// The user commits although the completion was dropped midway, which he should not.
#[tokio::test]
async fn a_completion_that_was_cut_off_and_committed_makes_no_later_event_come_twice() {
    let mut cut_off = 0;
    for polls in 1..MOST {
        let place = Place::new();
        let (store, mut conn) = (place.open().await, user(&place).await);
        put(&store, &record("task")).await;
        let failure = lease(&store, MINUTE).await.lease;
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let completed = poll_times(SqliteStore::complete(&mut tx, &failure), polls).await;
        tx.commit().await.unwrap();

        let success = record("task").with_rank(1);
        assert_eq!(put(&store, &success).await, Inserted::Upgraded);
        settle(&store, &failure, Action::Done).await;
        let leased = lease(&store, MINUTE).await.lease;
        assert_eq!(leased.id, success.id);
        settle(&store, &leased, Action::Done).await;
        let again = put(&store, &record("task").with_rank(1)).await;
        assert!(
            matches!(again, Inserted::Duplicate { id, state: State::Done, .. } if id == success.id),
            "after {polls} polls: {again:?}"
        );
        if completed.is_some() {
            break;
        }
        cut_off += 1;
    }
    assert!(cut_off > 1, "it was never cut off midway");
}

#[tokio::test]
async fn a_lease_that_was_taken_over_is_lost() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let frozen = lease(&store, std::time::Duration::ZERO).await.lease;
    let taken = lease(&store, MINUTE).await.lease;
    assert_eq!(refused(&mut conn, &frozen).await, CompleteErrorKind::Lost);
    settle(&store, &taken, Action::Done).await;
    assert_eq!(refused(&mut conn, &frozen).await, CompleteErrorKind::Lost);
}

#[tokio::test]
async fn an_event_that_was_replaced_meanwhile_is_due_after_the_commit() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let failure = lease(&store, MINUTE).await.lease;
    let success = record("task").with_rank(1);
    assert_eq!(put(&store, &success).await, Inserted::Upgraded);
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    SqliteStore::complete(&mut tx, &failure).await.unwrap();
    tx.commit().await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(
        found.settled_by,
        Some(failure.token),
        "how the worker learns of the commit"
    );
    let next = lease(&store, MINUTE).await;
    assert_eq!((next.lease.id, next.attempt), (success.id, 1));
}

#[tokio::test]
async fn a_database_without_the_tables_is_an_error() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (store, mut conn) = (place.open().await, user(&elsewhere).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let kind = refused(&mut conn, &lease).await;
    assert_eq!(kind, CompleteErrorKind::Database);
}
