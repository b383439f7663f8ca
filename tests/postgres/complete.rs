//! Done, inside the user's own transaction.

use libtest_mimic::Trial;
use sqlx::{Connection as _, PgConnection};
use tower_callback::store::{
    Action, CompleteErrorKind, Inserted, Lease, PostgresStore, Settled, State, Store,
};

use crate::{
    servers::proxy::{Proxy, Way},
    support::{MINUTE, Place, events, lease, number, put, record, run, settle},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_record_is_done_when_the_transaction_commits", commits),
        trial(
            "a_transaction_that_is_rolled_back_completes_nothing",
            rolled_back,
        ),
        trial("a_lease_is_completed_once", once),
        trial(
            "a_commit_whose_answer_was_lost_is_told_from_one_that_failed",
            ambiguous,
        ),
        trial("a_lease_that_was_taken_over_is_lost", taken_over),
        trial(
            "an_event_that_was_replaced_meanwhile_is_due_after_the_commit",
            replaced,
        ),
        trial(
            "an_open_transaction_blocks_neither_inserts_nor_heartbeats",
            open,
        ),
        trial(
            "a_second_completion_of_an_event_that_was_replaced_is_lost",
            replaced_twice,
        ),
        trial(
            "a_record_that_is_held_for_ever_keeps_no_other_from_being_settled",
            held_for_ever,
        ),
        trial(
            "a_settlement_waits_for_the_transaction_that_holds_its_record",
            waits,
        ),
    ]
}

const ORDERS: &str = "SELECT count(*) FROM orders";

async fn user(place: &Place) -> PgConnection {
    let mut conn = place.connect().await;
    run(&mut conn, "CREATE TABLE orders (id serial PRIMARY KEY)").await;
    conn
}

async fn refused(
    store: &PostgresStore,
    conn: &mut PgConnection,
    lease: &Lease,
) -> CompleteErrorKind {
    let mut tx = conn.begin().await.unwrap();
    let error = store.complete(&mut tx, lease).await.unwrap_err();
    tx.rollback().await.unwrap();
    error.kind()
}

async fn commits() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin().await.unwrap();
    run(&mut tx, "INSERT INTO orders DEFAULT VALUES").await;
    store.complete(&mut tx, &lease).await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Leased, "not before the commit");
    tx.commit().await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    assert_eq!(found.settled_by, Some(lease.token));
    assert_eq!(number(&mut conn, ORDERS).await, 1);
    let again = put(&store, &record("task")).await;
    assert!(matches!(
        again,
        Inserted::Duplicate {
            state: State::Done,
            ..
        }
    ));
}

async fn rolled_back() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let lease = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &lease).await.unwrap();
    tx.rollback().await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.state, State::Leased);
    assert_eq!(settle(&store, &lease, Action::Done).await, Settled::Applied);
}

async fn once() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let completed = lease(&store, MINUTE).await.lease;
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &completed).await.unwrap();
    tx.commit().await.unwrap();
    let kind = refused(&store, &mut conn, &completed).await;
    assert_eq!(kind, CompleteErrorKind::Completed);
    // Settled without one, it is lost.
    put(&store, &record("other")).await;
    let settled = lease(&store, MINUTE).await.lease;
    settle(&store, &settled, Action::Done).await;
    let kind = refused(&store, &mut conn, &settled).await;
    assert_eq!(kind, CompleteErrorKind::Lost);
}

/// The connection is cut before the commit gets to the server, and before its answer gets back.
async fn ambiguous() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    let proxy = Proxy::to(place.server.address());
    for (n, way) in [Way::Request, Way::Answer].into_iter().enumerate() {
        let committed = way == Way::Answer;
        put(&store, &record(&format!("task {n}"))).await;
        let lease = lease(&store, MINUTE).await.lease;
        let through = crate::servers::postgres::options(proxy.address(), &place.database);
        let mut cut = sqlx::ConnectOptions::connect(&through).await.unwrap();
        let mut tx = cut.begin().await.unwrap();
        run(&mut tx, "INSERT INTO orders DEFAULT VALUES").await;
        store.complete(&mut tx, &lease).await.unwrap();
        proxy.cut_after(way, 0);
        tx.commit().await.unwrap_err();

        // The whole transaction is repeated: waits for the first one's end, and is told of it.
        let mut again = conn.begin().await.unwrap();
        run(&mut again, "INSERT INTO orders DEFAULT VALUES").await;
        match (committed, store.complete(&mut again, &lease).await) {
            (true, Err(error)) => {
                assert_eq!(error.kind(), CompleteErrorKind::Completed);
                again.rollback().await.unwrap();
            }
            (false, Ok(())) => again.commit().await.unwrap(),
            (_, told) => panic!("{way:?}: {told:?}"),
        }
        assert_eq!(number(&mut conn, ORDERS).await, 1 + n as i64);
        let (queue, key) = (events(), format!("task {n}"));
        let found = store.find(&queue, key.as_bytes()).await.unwrap().unwrap();
        assert_eq!(
            (found.state, found.settled_by),
            (State::Done, Some(lease.token))
        );
    }
}

async fn taken_over() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let frozen = lease(&store, std::time::Duration::ZERO).await.lease;
    let taken = lease(&store, MINUTE).await.lease;
    let kind = refused(&store, &mut conn, &frozen).await;
    assert_eq!(kind, CompleteErrorKind::Lost);
    settle(&store, &taken, Action::Done).await;
    let kind = refused(&store, &mut conn, &frozen).await;
    assert_eq!(kind, CompleteErrorKind::Lost);
}

async fn replaced() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let failure = lease(&store, MINUTE).await.lease;
    let success = record("task").with_rank(1);
    assert_eq!(put(&store, &success).await, Inserted::Upgraded);
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &failure).await.unwrap();
    tx.commit().await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(
        found.settled_by,
        Some(failure.token),
        "how the worker learns of the commit"
    );
    let next = lease(&store, MINUTE).await;
    assert_eq!((next.lease.id, next.attempt), (success.id, 1));
    // The same when it was done before the better one came.
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &next.lease).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        put(&store, &record("task").with_rank(2)).await,
        Inserted::Upgraded
    );
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.settled_by, Some(next.lease.token));
}

/// As documented: nothing is remembered of it, and the first one counts.
async fn replaced_twice() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    put(&store, &record("task")).await;
    let failure = lease(&store, MINUTE).await.lease;
    put(&store, &record("task").with_rank(1)).await;
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &failure).await.unwrap();
    tx.commit().await.unwrap();
    let kind = refused(&store, &mut conn, &failure).await;
    assert_eq!(kind, CompleteErrorKind::Lost);
    let found = store.find(&events(), b"task").await.unwrap().unwrap();
    assert_eq!(found.settled_by, Some(failure.token));
}

/// The handler's machine is gone without a word, and the server knows nothing of it.
async fn held_for_ever() {
    let place = Place::new().await;
    let patience = std::time::Duration::from_millis(400);
    let options = PostgresStore::options().with_patience(patience);
    let (store, mut conn) = (place.open_with(options).await, user(&place).await);
    for n in 0..30 {
        put(&store, &record(&format!("task {n}"))).await;
    }
    let leased = store.lease(&events(), 30, MINUTE).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, &leased[11].lease).await.unwrap();
    let done: Vec<_> = leased
        .iter()
        .map(|leased| crate::support::settlement(&leased.lease, Action::Done))
        .collect();
    for (from, to) in [(0, 20), (10, 30)] {
        let settled = store.settle(&done[from..to]).await.unwrap();
        for (n, settled) in (from..to).zip(settled) {
            let promised = if n == 11 {
                Settled::Busy
            } else {
                Settled::Applied
            };
            assert_eq!(settled, promised, "{n}");
        }
    }
    tx.rollback().await.unwrap();
    assert_eq!(
        store.settle(&done[..20]).await.unwrap(),
        [Settled::Applied; 20]
    );
}

async fn open() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    for key in ["held", "other"] {
        put(&store, &record(key)).await;
    }
    let leased = store.lease(&events(), 2, MINUTE).await.unwrap();
    let (held, other) = (&leased[0].lease, &leased[1].lease);
    let mut tx = conn.begin().await.unwrap();
    store.complete(&mut tx, held).await.unwrap();

    let extend = Action::Extend { ttl: MINUTE };
    let beats = [held, other].map(|lease| crate::support::settlement(lease, extend.clone()));
    let settled = store.settle(&beats).await.unwrap();
    assert_eq!(settled, [Settled::Busy, Settled::Applied]);
    assert!(matches!(
        put(&store, &record("held")).await,
        Inserted::Duplicate { .. }
    ));
    assert_eq!(put(&store, &record("new")).await, Inserted::Fresh);
    let better = [
        record("newer"),
        record("held").with_rank(1),
        record("other").with_rank(1),
    ];
    let answers = tower_callback::store::Inbox::insert(&store, &better)
        .await
        .unwrap();
    assert_eq!(
        answers,
        [Inserted::Fresh, Inserted::Busy, Inserted::Upgraded]
    );
    // What is due is leased past it.
    assert_eq!(store.lease(&events(), 9, MINUTE).await.unwrap().len(), 2);
    let nothing = tower_callback::store::Retention::default();
    store.purge(&nothing).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        put(&store, &record("held").with_rank(1)).await,
        Inserted::Upgraded
    );
}

async fn waits() {
    let place = Place::new().await;
    let (store, mut conn) = (place.open().await, user(&place).await);
    for key in ["held", "other"] {
        put(&store, &record(key)).await;
    }
    let leased = store.lease(&events(), 2, MINUTE).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    run(&mut tx, "SELECT FROM tower_callback.inbox FOR UPDATE").await;
    let done: Vec<_> = leased
        .iter()
        .map(|leased| crate::support::settlement(&leased.lease, Action::Done))
        .collect();
    let settling = tokio::spawn({
        let store = store.clone();
        async move { store.settle(&done).await.unwrap() }
    });
    // Until it waits.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
        AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    while number(&mut tx, waiting).await == 0 {
        assert!(!settling.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    tx.commit().await.unwrap();
    assert_eq!(settling.await.unwrap(), [Settled::Applied; 2]);
}
