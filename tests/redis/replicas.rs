//! `WAITAOF`.

use tower_callback::{
    RedisStore,
    store::{Inbox, Inserted, RedisConnectErrorKind as Kind, StoreErrorKind},
};

use crate::{event, open, put, servers::redis::Redis, trials, whole_text};

trials! {
    waitaof_is_used_where_there_is_one_and_missed_by_name_elsewhere,
    an_insert_is_acknowledged_only_when_enough_replicas_have_it,
}

async fn waitaof_is_used_where_there_is_one_and_missed_by_name_elsewhere() {
    let server = Redis::start(&[]);
    if server
        .command(&["COMMAND", "INFO", "WAITAOF"])
        .contains("waitaof")
    {
        open(&server, RedisStore::options().with_waitaof(0))
            .await
            .unwrap();
        return;
    }
    let options = RedisStore::options().with_waitaof(1);
    let error = open(&server, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Version);
    assert!(error.to_string().contains("WAITAOF"), "{error}");
}

/// Where the server is too old for `WAITAOF`, another command stands in for it, whose answer is a
/// matter of what is stored: `WAITAOF 1 2 9000` reads the keys `1`, `2` and `9000`.
async fn an_insert_is_acknowledged_only_when_enough_replicas_have_it() {
    let server = Redis::start(&[("rename-command", "MGET WAITAOF")]);
    let reached = |local: &str, replicas: &str| {
        server.ok(&["SET", "1", local]);
        server.ok(&["SET", "2", replicas]);
    };
    reached("1", "2");
    let options = RedisStore::options().with_waitaof(2);
    let store = open(&server, options).await.unwrap();
    assert_eq!(put(&store, &event("a")).await, Inserted::Fresh);
    for (local, replicas) in [("1", "1"), ("0", "2")] {
        reached(local, replicas);
        // Nor what is known already: its first copy may be the one that is missing there.
        for record in [event("a"), event("b")] {
            let error = store.insert(&[record]).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert!(whole_text(&error).contains("too few replicas"), "{error:?}");
        }
    }
    reached("1", "2");
    assert!(matches!(
        put(&store, &event("b")).await,
        Inserted::Duplicate { .. }
    ));
}
