//! A later version, which is none yet.

use sqlx::ConnectOptions as _;

use super::*;
use crate::store::{Inbox as _, Inserted, NewRecord, PostgresStore, Queue, StoreErrorKind};

#[path = "../../../../tests/servers/mod.rs"]
mod servers;

use servers::postgres::{Postgres, missing};

const V2: &str = "
ALTER TABLE SCHEMA.seen ADD COLUMN later integer NOT NULL DEFAULT 7;
DO $$ DECLARE f text; BEGIN
    FOR f IN SELECT oid::regprocedure::text FROM pg_catalog.pg_proc
        WHERE pronamespace = 'SCHEMA'::regnamespace AND proname LIKE '%\\_1'
    LOOP EXECUTE 'DROP FUNCTION ' || f; END LOOP;
END $$;
CREATE FUNCTION SCHEMA.clock_2() RETURNS bigint LANGUAGE sql AS $$ SELECT 2::bigint $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_later_step_keeps_the_records_and_shuts_older_releases_out() {
    if let Some(reason) = missing() {
        servers::cannot_run(reason).unwrap();
        return;
    }
    let server = Postgres::start(&[]);
    let store = PostgresStore::open(&server.url("postgres")).await.unwrap();
    let insert = async |key| {
        let record = NewRecord::new(Queue::events("a"), key, "{}");
        store.insert(&[record]).await
    };
    assert_eq!(insert("task").await.unwrap(), [Inserted::Fresh]);
    let connect = || server.options("postgres");
    let upgrades = (0..5).map(|_| {
        let options = connect();
        tokio::spawn(async move {
            let mut conn = options.connect().await.unwrap();
            upgrade(&mut conn, "tower_callback", &[V1, V2]).await
        })
    });
    for upgraded in upgrades.collect::<Vec<_>>() {
        upgraded.await.unwrap().unwrap();
    }
    let mut conn = connect().connect().await.unwrap();
    assert_eq!(version(&mut conn, "tower_callback").await.unwrap(), 2);
    let kept = raw_sql(
        "SELECT count(*) FROM tower_callback.seen s JOIN tower_callback.inbox USING (seq)
         JOIN tower_callback.payload USING (seq) WHERE s.later = 7",
    );
    let kept = kept.fetch_one(&mut conn).await.unwrap();
    assert_eq!(kept.get::<i64, _>(0), 1);
    // Whoever ran meanwhile writes nothing any more, and is not started again.
    let error = insert("other").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let error = ensure(&mut conn, "tower_callback").await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NewerSchema);
}
