//! Other processes hear of new events at once.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sqlx::{Row, postgres::PgListener, query};
use tower_callback::store::{NewRecord, PostgresStore, Queue, Store};

use crate::{
    servers::postgres::{Bouncer, Postgres, missing_bouncer, options, url},
    support::{Place, events, number, put, record, run},
    trial, trial_that_needs,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_insert_wakes_who_waits_elsewhere_for_that_queue", wakes),
        trial("a_listener_that_lost_its_connection_connects_again", again),
        trial("inserts_are_told_together_and_after_their_commit", together),
        trial("one_who_is_not_polled_keeps_nobody_from_hearing", parked),
        trial("without_notifications_nothing_listens", silent),
        trial_that_needs(
            "behind_a_pooler_a_listener_is_named",
            missing_bouncer,
            bouncer,
        ),
    ]
}

/// Waits, but not for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future).await.expect("in time")
}

/// Listens: when it is connected, something may have come before.
async fn begin(store: &PostgresStore) {
    soon(store.changed(&events())).await;
}

const LISTENING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'";

async fn wakes() {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    let other = Queue::events("other");
    // Whoever begins to listen knows nothing of what was before.
    soon(here.changed(&events())).await;
    soon(here.changed(&other)).await;
    for round in 0..3 {
        let queue = events();
        let mut other_changed = Box::pin(here.changed(&other));
        let changed = async {
            tokio::select! {
                biased;
                () = &mut other_changed => panic!("nothing came for another queue"),
                () = here.changed(&queue) => {}
            }
        };
        let (_, ()) = tokio::join!(
            async { put(&there, &record(&format!("task {round}"))).await },
            soon(changed)
        );
    }
    let mut conn = place.connect().await;
    assert_eq!(
        number(&mut conn, LISTENING).await,
        1,
        "one for all who wait"
    );
}

async fn again() {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    begin(&here).await;
    let mut conn = place.connect().await;
    let waiting = tokio::spawn({
        let here = here.clone();
        async move { here.changed(&events()).await }
    });
    run(
        &mut conn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    )
    .await;
    // It may have missed something.
    soon(waiting).await.unwrap();
    let queue = events();
    let (_, ()) = tokio::join!(
        async { put(&there, &record("task")).await },
        soon(here.changed(&queue))
    );
}

/// Each `NOTIFY` takes a lock of the whole server: many inserts share one.
async fn together() {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    begin(&here).await;
    let channel = query(
        "SELECT split_part(query, '\"', 2) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    let channel = channel.fetch_one(&mut place.connect().await).await.unwrap();
    let mut listener = PgListener::connect(&place.url()).await.unwrap();
    listener.listen(channel.get(0)).await.unwrap();

    let start = Instant::now();
    let inserts = (0..300).map(|n| {
        let there = there.clone();
        tokio::spawn(async move { put(&there, &record(&format!("task {n}"))).await })
    });
    let inserts: Vec<_> = inserts.collect();
    let first = soon(listener.recv()).await.unwrap();
    // Whoever is told finds something.
    let found = here.lease(&events(), 1, Duration::from_secs(60)).await;
    assert_eq!(found.unwrap().len(), 1);
    for insert in inserts {
        insert.await.unwrap();
    }
    // What is told of another queue now comes last.
    put(
        &there,
        &NewRecord::new(Queue::events("other"), "task", "{}"),
    )
    .await;
    let mut told = 1;
    while soon(listener.recv()).await.unwrap().payload() == first.payload() {
        told += 1;
    }
    // The first one, those that are 10 ms apart, and the one that comes with the other queue's.
    let most = start.elapsed().as_millis() / 10 + 2;
    assert!(told <= most, "{told} notifications, at most {most}");
}

/// A worker that handles something looks at nothing else.
async fn parked() {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    let other = Queue::events("other");
    begin(&here).await;
    soon(here.changed(&other)).await;
    let mut parked = Box::pin(here.changed(&other));
    tokio::select! {
        biased;
        () = &mut parked => panic!("nothing came for it"),
        () = tokio::task::yield_now() => {}
    }
    let queue = events();
    let (_, ()) = tokio::join!(
        async { put(&there, &record("task")).await },
        soon(here.changed(&queue))
    );
    // Nor is it told of what came meanwhile any later.
    let mine = NewRecord::new(other.clone(), "task", "{}");
    put(&there, &mine).await;
    soon(parked).await;
}

async fn silent() {
    let place = Place::new().await;
    let options = PostgresStore::options().without_notifications();
    let store = place.open_with(options).await;
    let mut conn = place.connect().await;
    let queue = events();
    tokio::select! {
        biased;
        () = store.changed(&queue) => panic!("it cannot know"),
        () = async { put(&store, &record("task")).await; } => {}
    }
    assert_eq!(number(&mut conn, LISTENING).await, 0);
}

async fn bouncer() {
    let server = Postgres::shared();
    let bouncer = Bouncer::start(server, "default_pool_size = 2");
    let database = server.database().await;
    let through = url(bouncer.address(), &database);
    let there = PostgresStore::open(&through).await.unwrap();
    let named = PostgresStore::options().with_listener(options(server.address(), &database));
    let here = named.open(&through).await.unwrap();
    begin(&here).await;
    let queue = events();
    tokio::select! {
        biased;
        () = there.changed(&queue) => panic!("there is nothing to listen to"),
        () = async {
            put(&there, &record("task")).await;
            soon(here.changed(&events())).await;
        } => {}
    }
}
