//! Two who insert at once.

use libtest_mimic::Trial;
use sqlx::{Connection as _, PgConnection, Row as _, query};
use tower_callback::store::{
    Inbox, Inserted, NewRecord, PostgresStore, Queue, RecordId, StoreErrorKind, inspect::Inspect,
};

use crate::{
    support::{Place, number, put, record, run},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_duplicate_waits_for_the_commit_of_the_first_copy", || {
            first_copy(true)
        }),
        trial("a_key_whose_first_copy_is_rolled_back_is_fresh", || {
            first_copy(false)
        }),
        trial("a_key_that_is_forgotten_in_between_is_fresh", forgotten),
        trial("a_quarantine_keeps_its_newest", quarantine),
    ]
}

/// A key of which nothing is in the tables, as they know it.
async fn hash_of(store: &PostgresStore, conn: &mut PgConnection, key: &str) -> Vec<u8> {
    put(store, &record(key)).await;
    let row = query("SELECT k FROM tower_callback.seen")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    run(
        conn,
        "DELETE FROM tower_callback.seen; DELETE FROM tower_callback.inbox;
         DELETE FROM tower_callback.payload",
    )
    .await;
    row.get(0)
}

async fn first_copy(commits: bool) {
    let place = Place::new().await;
    let store = place.open().await;
    let (mut conn, mut watch) = (place.connect().await, place.connect().await);
    let k = hash_of(&store, &mut watch, "task").await;
    let first = RecordId::random();
    let mut tx = conn.begin().await.unwrap();
    query(
        "SELECT * FROM tower_callback.insert_1(ARRAY[$1], ARRAY[$2], '{1}', '{1}', '{0}', '{0}',
            '{0}', ARRAY['task'::bytea], ARRAY[''::bytea], ARRAY['{}'::bytea],
            '{music-video}', '{events}', NULL, 100, false, false, 5000)",
    )
    .bind(k)
    .bind(first.to_bytes())
    .execute(&mut *tx)
    .await
    .unwrap();
    let second = record("task");
    let inserting = tokio::spawn({
        let (store, second) = (store.clone(), second.clone());
        async move { store.insert(&[second]).await.unwrap()[0] }
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
        AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    while number(&mut watch, waiting).await == 0 {
        assert!(!inserting.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    if commits {
        tx.commit().await.unwrap();
        let answer = inserting.await.unwrap();
        assert!(
            matches!(answer, Inserted::Duplicate { id, .. } if id == first),
            "{answer:?}"
        );
    } else {
        tx.rollback().await.unwrap();
        assert_eq!(inserting.await.unwrap(), Inserted::Fresh);
        // It is this one's now.
        assert_eq!(put(&store, &second).await, Inserted::Fresh);
        let other = put(&store, &record("task")).await;
        assert!(matches!(other, Inserted::Duplicate { id, .. } if id == second.id));
    }
}

/// Between "it is there" and looking what it is.
async fn forgotten() {
    let place = Place::new().await;
    let store = place.open().await;
    let mut conn = place.connect().await;
    let known = |forgets: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION tower_callback.known_1(ks bytea[])
             RETURNS TABLE (k bytea, id bytea, rank integer, digest bigint, state smallint,
                key bytea) LANGUAGE plpgsql AS $$ BEGIN {forgets} END $$"
        )
    };
    put(&store, &record("task")).await;
    let forget = "DELETE FROM tower_callback.payload; DELETE FROM tower_callback.inbox;
        DELETE FROM tower_callback.seen;";
    run(&mut conn, &known(forget)).await;
    let again = [record("task"), record("new")];
    assert_eq!(
        store.insert(&again).await.unwrap(),
        [Inserted::Fresh, Inserted::Fresh]
    );
    // Not for ever.
    run(&mut conn, &known("")).await;
    let error = store.insert(&[record("task")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

/// Whoever inserts at the same time sees nothing of the other's; the next one does.
async fn quarantine() {
    let place = Place::new().await;
    let options = || PostgresStore::options().with_quarantine(3);
    let store = place.open_with(options()).await;
    let other = place.open_with(options()).await;
    let queue = Queue::quarantine("music-video");
    let record = |key: String| NewRecord::new(Queue::quarantine("music-video"), key, "{}");
    for n in 0..5 {
        assert_eq!(put(&store, &record(format!("{n}"))).await, Inserted::Fresh);
    }
    let counts = store.counts(&queue).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (3, 2));
    let mut conn = place.connect().await;
    let kept = "SELECT count(*) FROM tower_callback.payload WHERE key IN ('2', '3', '4')";
    assert_eq!(number(&mut conn, kept).await, 3, "the newest");

    let crowd = (0..4).map(|task| {
        let store = if task % 2 == 0 { &store } else { &other }.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                put(&store, &record(format!("{task} {n}"))).await;
            }
        })
    });
    for task in crowd.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(put(&store, &record("last".into())).await, Inserted::Fresh);
    let counts = store.counts(&queue).await.unwrap();
    assert_eq!(counts.pending, 3);
    let dropped = counts.dropped + other.counts(&queue).await.unwrap().dropped;
    assert_eq!(dropped, 5 + 40 + 1 - 3, "each is counted once");
    for table in ["seen", "payload", "inbox"] {
        let left = format!("SELECT count(*) FROM tower_callback.{table}");
        assert_eq!(number(&mut conn, &left).await, 3, "{table}");
    }
}
