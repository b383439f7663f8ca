//! The tables: made, upgraded, and refused.

use libtest_mimic::Trial;
use tower_callback::store::{Inbox, Inserted, OpenErrorKind, PostgresStore, StoreErrorKind};

use crate::{
    support::{Place, number, put, record, run},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ten_replicas_that_start_at_once_make_the_tables_once", ten),
        trial("an_older_schema_is_upgraded", older),
        trial(
            "a_later_release_keeps_the_records_and_shuts_older_ones_out",
            release,
        ),
        trial("a_newer_schema_is_refused_by_name_and_left_alone", newer),
        trial("a_migration_that_fails_leaves_nothing_behind", fails),
        trial("stores_in_two_schemas_know_nothing_of_each_other", schemas),
        trial("who_may_only_use_the_tables_can_open_the_store", rights),
        trial("errors_of_opening_hold_neither_url_nor_password", secrets),
    ]
}

async fn ten() {
    let place = Place::new().await;
    let urls = (0..10).map(|_| place.url());
    let opened = urls.map(|url| tokio::spawn(async move { PostgresStore::open(&url).await }));
    let mut stores = Vec::new();
    for store in opened.collect::<Vec<_>>() {
        stores.push(store.await.unwrap().unwrap());
    }
    for (n, store) in stores.iter().enumerate() {
        let answer = put(store, &record("task")).await;
        assert_eq!(answer == Inserted::Fresh, n == 0, "{n}: {answer:?}");
    }
}

async fn older() {
    let place = Place::new().await;
    let mut conn = place.connect().await;
    run(
        &mut conn,
        "CREATE SCHEMA tower_callback;
         CREATE TABLE tower_callback.version (one integer PRIMARY KEY, version integer NOT NULL);
         INSERT INTO tower_callback.version VALUES (1, 0)",
    )
    .await;
    let store = place.open().await;
    let version = "SELECT version::bigint FROM tower_callback.version";
    assert!(number(&mut conn, version).await > 0);
    assert_eq!(put(&store, &record("task")).await, Inserted::Fresh);
}

/// As a later release may have it: one column more, and functions of its own. `guard_1`, which it asks
/// when it is opened, stands for its successor.
const V2: &str = "
ALTER TABLE SCHEMA.seen ADD COLUMN later integer NOT NULL DEFAULT 7;
DO $$ DECLARE f text; BEGIN
    FOR f IN SELECT oid::regprocedure::text FROM pg_catalog.pg_proc
        WHERE pronamespace = 'SCHEMA'::regnamespace AND proname <> 'guard_1'
    LOOP EXECUTE 'DROP FUNCTION ' || f; END LOOP;
END $$";

async fn release() {
    let place = Place::new().await;
    let store = place.open().await;
    assert_eq!(put(&store, &record("task")).await, Inserted::Fresh);
    let upgrades = (0..10).map(|_| {
        let options = PostgresStore::options().with_later_steps(&[V2]);
        let url = place.url();
        tokio::spawn(async move { options.open(&url).await })
    });
    for upgraded in upgrades.collect::<Vec<_>>() {
        upgraded.await.unwrap().unwrap();
    }
    let mut conn = place.connect().await;
    let version = "SELECT version::bigint FROM tower_callback.version";
    assert_eq!(number(&mut conn, version).await, 2);
    let kept = "SELECT count(*) FROM tower_callback.seen s
        JOIN tower_callback.inbox USING (seq) JOIN tower_callback.payload USING (seq)
        WHERE s.later = 7";
    assert_eq!(number(&mut conn, kept).await, 1);
    // Whoever ran meanwhile writes nothing any more, and is not started again.
    let error = store.insert(&[record("other")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let error = PostgresStore::open(&place.url()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
}

async fn newer() {
    let place = Place::new().await;
    let store = place.open().await;
    put(&store, &record("task")).await;
    let mut conn = place.connect().await;
    run(&mut conn, "UPDATE tower_callback.version SET version = 99").await;
    let error = PostgresStore::open(&place.url()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
    assert!(error.to_string().contains("version 99"), "{error}");
    let version = "SELECT version::bigint FROM tower_callback.version";
    assert_eq!(number(&mut conn, version).await, 99);
    let kept = "SELECT count(*) FROM tower_callback.seen";
    assert_eq!(number(&mut conn, kept).await, 1);
}

async fn fails() {
    let place = Place::new().await;
    let mut conn = place.connect().await;
    // Somebody's own table is in the way, half way through.
    run(
        &mut conn,
        "CREATE SCHEMA tower_callback; CREATE TABLE tower_callback.payload (mine integer)",
    )
    .await;
    PostgresStore::open(&place.url()).await.unwrap_err();
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = 'tower_callback' AND relkind = 'r'";
    assert_eq!(number(&mut conn, tables).await, 1, "only somebody's own");
    run(&mut conn, "DROP TABLE tower_callback.payload").await;
    place.open().await;
}

async fn schemas() {
    let place = Place::new().await;
    let one = place.open().await;
    let options = PostgresStore::options().with_schema("another_1");
    let other = place.open_with(options).await;
    assert_eq!(put(&one, &record("task")).await, Inserted::Fresh);
    assert_eq!(put(&other, &record("task")).await, Inserted::Fresh);
    let options = PostgresStore::options().with_schema("a; DROP SCHEMA tower_callback");
    let error = options.open(&place.url()).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Invalid);
}

async fn rights() {
    let place = Place::new().await;
    place.open().await;
    let mut conn = place.connect().await;
    run(
        &mut conn,
        "DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT USAGE ON SCHEMA tower_callback TO app;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tower_callback TO app;
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA tower_callback TO app",
    )
    .await;
    let url = place.url().replace("postgres:unused", "app:unused");
    let store = PostgresStore::open(&url).await.unwrap();
    assert_eq!(put(&store, &record("task")).await, Inserted::Fresh);
}

async fn secrets() {
    let place = Place::new().await;
    let whole = |error: &dyn std::error::Error| {
        let mut text = format!("{error:?}");
        let mut next = Some(error);
        while let Some(error) = next {
            text += &format!(" {error}");
            next = error.source();
        }
        text
    };
    for url in [
        "postgres://user:s3cret@127.0.0.1:1/nowhere".to_owned(),
        "postgres://user:s3cret@127.0.0.1:notaport/s3cret".to_owned(),
        "s3cret".to_owned(),
        place
            .url()
            .replace("unused", "s3cret")
            .replace("/test_", "/s3cret_test_"),
    ] {
        let options = PostgresStore::options().with_patience(std::time::Duration::from_millis(300));
        let error = options.open(&url).await.unwrap_err();
        let text = whole(&error);
        assert!(!text.contains(":s3cret"), "{text}");
        assert!(!text.contains("postgres://"), "{text}");
    }
}
