use std::time::Duration;

use super::{log::Entry, *};
use crate::{
    clock::Clock,
    store::{Action, Lease, State},
};

const MINUTE: Duration = Duration::from_secs(60);

fn events() -> Queue {
    Queue::events("music-video")
}

async fn put(store: &MemoryStore, key: &str) -> Inserted {
    store
        .insert(&[NewRecord::new(events(), key.to_owned(), key.to_owned())])
        .await
        .unwrap()[0]
}

async fn one(store: &MemoryStore) -> Leased {
    store.lease(&events(), 1, MINUTE).await.unwrap().remove(0)
}

async fn settle(store: &MemoryStore, lease: &Lease, action: Action) -> Settled {
    store
        .settle(&[Settlement::new(lease.clone(), action)])
        .await
        .unwrap()[0]
}

async fn state(store: &MemoryStore, key: &str) -> Option<State> {
    let found = store.find(&events(), key.as_bytes()).await.unwrap();
    found.map(|found| found.state)
}

#[tokio::test]
async fn a_million_remembered_ids_take_at_most_64_bytes_each() {
    assert_eq!(size_of::<Entry>(), 56);
    let store = MemoryStore::new();
    let ids = 1_000_000;
    for id in 0..ids {
        put(&store, &format!("task-{id:019}")).await;
        let leased = one(&store).await;
        settle(&store, &leased.lease, Action::Done).await;
    }
    let inner = store.lock();
    assert_eq!(inner.remembered, ids);
    let each = (inner.index.bytes() + inner.done.bytes()) as f64 / ids as f64;
    assert!(each <= 64.0, "{each} bytes each");
}

#[tokio::test]
async fn when_too_many_are_remembered_the_oldest_is_forgotten_first() {
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands).with_remembered(2);
    for (key, action) in [
        ("a", Action::Done),
        (
            "b",
            Action::Dead {
                reason: "no".to_owned(),
            },
        ),
        ("c", Action::Done),
        ("d", Action::Done),
    ] {
        put(&store, key).await;
        hands.advance(MINUTE);
        let leased = one(&store).await;
        settle(&store, &leased.lease, action).await;
    }
    assert_eq!(state(&store, "a").await, None);
    assert_eq!(state(&store, "b").await, None, "dead ones count too");
    assert_eq!(state(&store, "c").await, Some(State::Done));
    assert_eq!(state(&store, "d").await, Some(State::Done));
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.done, counts.dead), (2, 0));
}
