//! A file that fails, at the worst time.

use sqlx::{ConnectOptions, SqliteConnection, query, raw_sql, sqlite::SqliteConnectOptions};
use tower_callback::{
    store::{Inbox, Inserted, StoreErrorKind},
    testing::Fault,
};

use crate::{
    engine::{Rig, event, until},
    trials,
};

trials! {
    a_file_that_fails_in_an_outage_keeps_nobody_from_the_store_that_is_back,
    a_file_that_fails_after_an_outage_stops_no_key_that_waits_in_it,
    a_file_that_the_forwarder_cannot_read_keeps_nobody_from_the_store_that_is_back,
}

/// Somebody else's connection.
async fn connect(rig: &Rig) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(rig.file());
    options.connect().await.unwrap()
}

async fn damage(file: &mut SqliteConnection) {
    let sql = "ALTER TABLE tower_callback_payload RENAME TO tower_callback_lost";
    raw_sql(sql).execute(file).await.unwrap();
}

async fn repair(file: &mut SqliteConnection) {
    let sql = "ALTER TABLE tower_callback_lost RENAME TO tower_callback_payload";
    raw_sql(sql).execute(file).await.unwrap();
}

async fn a_file_that_fails_in_an_outage_keeps_nobody_from_the_store_that_is_back() {
    let mut rig = Rig::new().await;
    let mut file = connect(&rig).await;
    let _forwarding = rig.forward();
    rig.engine.store.fail(Fault::Unavailable);
    rig.put(&event("kept")).await;
    damage(&mut file).await;
    let error = rig.store.insert(&[event("neither")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("told to fail"), "{source}");

    rig.engine.store.heal();
    for key in ["neither", "another"] {
        assert_eq!(rig.put(&event(key)).await, Inserted::Fresh);
    }
    assert_eq!(rig.engine.taken(), ["neither", "another"]);

    repair(&mut file).await;
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["neither", "another", "kept"]);
}

async fn a_file_that_fails_after_an_outage_stops_no_key_that_waits_in_it() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail_next(1, Fault::Unavailable);
    rig.put(&event("waits")).await;
    let mut file = connect(&rig).await;
    damage(&mut file).await;
    let batch = [event("waits").with_rank(1), event("new")];
    let answers = rig.store.insert(&batch).await.unwrap();
    assert_eq!(answers, [Inserted::Fresh; 2]);
    assert_eq!(rig.engine.taken(), ["waits", "new"]);

    repair(&mut file).await;
    let _forwarding = rig.forward();
    rig.drained().await;
    let mut leased = rig.leased().await;
    leased.sort();
    assert_eq!(leased, ["new", "waits"], "each once");
}

/// Inserts go well then, and would go to the file for ever.
async fn a_file_that_the_forwarder_cannot_read_keeps_nobody_from_the_store_that_is_back() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let kept = event("kept");
    rig.put(&kept).await;
    let mut file = connect(&rig).await;
    let set = "UPDATE tower_callback_record SET id = ?";
    query(set)
        .bind([].as_slice())
        .execute(&mut file)
        .await
        .unwrap();
    let _forwarding = rig.forward();
    rig.engine.store.heal();
    let mut n = 0;
    until(async || {
        n += 1;
        rig.put(&event(format!("later {n}"))).await;
        !rig.engine.taken().is_empty()
    })
    .await;

    let set = format!("{set} WHERE id = x''");
    query(sqlx::AssertSqlSafe(set))
        .bind(kept.id.to_bytes().as_slice())
        .execute(&mut file)
        .await
        .unwrap();
    rig.drained().await;
    assert_eq!(rig.engine.taken().len(), n + 1);
}
