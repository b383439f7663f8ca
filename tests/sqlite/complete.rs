//! Done, inside the user's own transaction.

use sqlx::{Connection, Row, SqliteConnection, query};
use tower_callback::store::{
    Action, CompleteErrorKind, Inserted, Settled, SqliteStore, State, Store,
};

use crate::support::{MINUTE, Place, events, lease, put, record, settle};

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
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = SqliteStore::complete(&mut tx, &lease).await.unwrap_err();
    assert_eq!(error.kind(), CompleteErrorKind::Completed);
}

#[tokio::test]
async fn a_lease_that_was_taken_over_is_lost() {
    let place = Place::new();
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let frozen = lease(&store, std::time::Duration::ZERO).await.lease;
    let taken = lease(&store, MINUTE).await.lease;
    let error = SqliteStore::complete(&mut conn, &frozen).await.unwrap_err();
    assert_eq!(error.kind(), CompleteErrorKind::Lost);
    settle(&store, &taken, Action::Done).await;
    let error = SqliteStore::complete(&mut conn, &frozen).await.unwrap_err();
    assert_eq!(error.kind(), CompleteErrorKind::Lost);
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
    let error = SqliteStore::complete(&mut conn, &lease).await.unwrap_err();
    assert_eq!(error.kind(), CompleteErrorKind::Database);
}
