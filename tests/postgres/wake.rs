//! Other processes hear of new events at once.

use std::time::Duration;

use libtest_mimic::Trial;
use tower_callback::store::{PostgresStore, Queue, Store};

use crate::{
    servers::postgres::{Bouncer, Postgres, missing_bouncer, options, url},
    support::{Place, events, number, put, record, run},
    trial, trial_that_needs,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_insert_wakes_who_waits_elsewhere_for_that_queue", wakes),
        trial("a_listener_that_lost_its_connection_connects_again", again),
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
    let mine = tower_callback::store::NewRecord::new(other.clone(), "task", "{}");
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
