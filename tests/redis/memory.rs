//! What goes on when memory is used up.

use tower_callback::{
    RedisStore,
    store::{Action, Inbox, Inserted, NewRecord, Retention, Settled, State, Store},
};

use crate::{LONG, end, event, events, one, open, put, servers::redis::Redis, trials};

trials! {
    only_new_records_are_refused_when_memory_is_used_up,
}

async fn only_new_records_are_refused_when_memory_is_used_up() {
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let known = event("known");
    put(&store, &known).await;
    let [leased, retried, extended, old] = {
        for key in ["retried", "extended", "old"] {
            put(&store, &event(key)).await;
        }
        [
            one(&store).await,
            one(&store).await,
            one(&store).await,
            one(&store).await,
        ]
    };
    assert_eq!(end(&store, &old, Action::Done).await, Settled::Applied);
    server.ok(&["CONFIG", "SET", "maxmemory", "1mb"]);

    let better = NewRecord::new(events(), "retried", "better").with_rank(1);
    let batch = [
        event("new"),
        known.clone(),
        event("known"),
        better.clone(),
        event("new 2"),
    ];
    let answers = store.insert(&batch).await.unwrap();
    let duplicate = Inserted::Duplicate {
        id: known.id,
        rank: 0,
        state: State::Leased,
        differs: false,
    };
    let promised = [
        Inserted::Full,
        Inserted::Fresh,
        duplicate,
        Inserted::Upgraded,
        Inserted::Full,
    ];
    assert_eq!(answers, promised);
    let unreadable = NewRecord::new(tower_callback::store::Queue::quarantine("test"), "k", "{");
    assert_eq!(put(&store, &unreadable).await, Inserted::Full);
    assert!(store.find(&events(), b"new").await.unwrap().is_none());

    let extend = Action::Extend { ttl: LONG };
    assert_eq!(end(&store, &extended, extend).await, Settled::Applied);
    let reason = "no".to_owned();
    assert_eq!(
        end(&store, &extended, Action::Dead { reason }).await,
        Settled::Applied
    );
    assert_eq!(end(&store, &retried, Action::Done).await, Settled::Applied);
    let again = one(&store).await;
    assert_eq!(again.lease.id, better.id);
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    let no_bodies = Retention::default().with_bodies(std::time::Duration::ZERO);
    assert_eq!(store.purge(&no_bodies).await.unwrap().records, 2);
    let found = store.find(&events(), b"known").await.unwrap().unwrap();
    assert_eq!((found.state, found.body), (State::Done, None));

    server.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(put(&store, &event("new")).await, Inserted::Fresh);
}
