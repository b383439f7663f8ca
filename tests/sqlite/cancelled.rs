//! Every await point of every call dropped once.

use std::{
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use sqlx::Executor;
use tower_callback::store::{
    Action, Inbox, Inserted, Inspect, Retention, Settled, SqliteStore, Store,
};

use crate::support::{MINUTE, Place, events, lease, put, record, settle, settlement};

/// Polls a future this many times, whenever it asks for it, and drops it. `None` if it was not ready.
pub(crate) async fn poll_times<F: Future>(future: F, mut times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if times == 0 {
            return Poll::Ready(None);
        }
        times -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if times == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Goes on until the future had polls enough: then every await point was its last one once.
pub(crate) const MOST: usize = 200;

#[tokio::test]
async fn an_insert_dropped_anywhere_happened_or_not_and_can_be_repeated() {
    let place = Place::new();
    let store = place.open().await;
    let mut somebody = place.connect().await;
    let (mut whole, mut batches) = (0, 0);
    for polls in 1..MOST {
        let batch = [record(&format!("a{polls}")), record(&format!("b{polls}"))];
        let queue = events();
        if poll_times(store.insert(&batch), polls).await.is_some() {
            whole += 1;
        }
        // A commit that was on its way holds the lock until it is done.
        somebody.execute("BEGIN IMMEDIATE; ROLLBACK").await.unwrap();
        let mut there = [false; 2];
        for (there, record) in there.iter_mut().zip(&batch) {
            let found = store.find(&queue, &record.key).await.unwrap();
            *there = found.is_some();
        }
        assert_eq!(there[0], there[1], "after {polls} polls: half a batch");
        let answers = store.insert(&batch).await.unwrap();
        assert_eq!(answers, [Inserted::Fresh; 2], "after {polls} polls");
        batches += 1;
        if whole == 3 {
            break;
        }
    }
    assert_eq!(whole, 3, "the call was never given polls enough");
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!(counts.pending, 2 * batches);
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn a_lease_dropped_anywhere_loses_no_record() {
    let place = Place::new();
    let store = place.open().await;
    put(&store, &record("task")).await;
    let mut whole = 0;
    for polls in 1..MOST {
        // Whoever was leased to nobody is due again at once.
        let queue = events();
        let leased = poll_times(store.lease(&queue, 9, Duration::ZERO), polls).await;
        whole += usize::from(leased.is_some());
        let again = lease(&store, MINUTE).await;
        let released = Action::Release {
            after: Duration::ZERO,
        };
        assert_eq!(
            settle(&store, &again.lease, released).await,
            Settled::Applied
        );
        if whole == 3 {
            break;
        }
    }
    assert_eq!(whole, 3, "the call was never given polls enough");
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn a_settlement_dropped_anywhere_happened_or_not_and_can_be_repeated() {
    let place = Place::new();
    let store = place.open().await;
    let mut whole = 0;
    for polls in 1..MOST {
        let key = format!("task {polls}");
        put(&store, &record(&key)).await;
        let leased = lease(&store, MINUTE).await.lease;
        let done = [settlement(&leased, Action::Done)];
        let settled = poll_times(store.settle(&done), polls).await;
        whole += usize::from(settled.is_some());
        assert_eq!(
            settle(&store, &leased, Action::Done).await,
            Settled::Applied,
            "after {polls} polls"
        );
        if whole == 3 {
            break;
        }
    }
    assert_eq!(whole, 3, "the call was never given polls enough");
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn a_purge_dropped_anywhere_leaves_the_store_whole() {
    let place = Place::new();
    let store = place.open().await;
    let all = Retention::default()
        .with_bodies(Duration::ZERO)
        .with_keys(Duration::ZERO);
    let mut whole = 0;
    for polls in 1..MOST {
        put(&store, &record("task")).await;
        let leased = lease(&store, MINUTE).await.lease;
        settle(&store, &leased, Action::Done).await;
        whole += usize::from(poll_times(store.purge(&all), polls).await.is_some());
        store.purge(&all).await.unwrap();
        assert!(store.find(&events(), b"task").await.unwrap().is_none());
        if whole == 3 {
            break;
        }
    }
    assert_eq!(whole, 3, "the call was never given polls enough");
    assert_eq!(place.integrity().await, "ok");
}

#[tokio::test]
async fn dropped_calls_on_a_pool_leave_its_connections_usable() {
    let place = Place::new();
    let pool = place.pool(1).await;
    let store = SqliteStore::with_pool(pool.clone()).await.unwrap();
    let mut whole = 0;
    for polls in 1..MOST {
        let one = [record(&polls.to_string())];
        whole += usize::from(poll_times(store.insert(&one), polls).await.is_some());
        sqlx::query("CREATE TABLE IF NOT EXISTS theirs (x)")
            .execute(&pool)
            .await
            .unwrap();
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO theirs VALUES (1)")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.insert(&one).await.unwrap(), [Inserted::Fresh]);
        if whole == 3 {
            break;
        }
    }
    assert_eq!(whole, 3, "the call was never given polls enough");
}
