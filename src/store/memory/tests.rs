use std::{slice, time::Duration};

use bytes::Bytes;

use super::{
    log::{Entry, Log},
    *,
};
use crate::{
    clock::Clock,
    store::{Action, Lease, State, StoreErrorKind, inspect::Cursor},
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
    for batch in 0..ids / 1000 {
        let records: Vec<_> = (0..1000)
            .map(|id| NewRecord::new(events(), format!("task-{batch:019}-{id}"), ""))
            .collect();
        store.insert(&records).await.unwrap();
        let done: Vec<_> = store
            .lease(&events(), 1000, MINUTE)
            .await
            .unwrap()
            .into_iter()
            .map(|leased| Settlement::new(leased.lease, Action::Done))
            .collect();
        store.settle(&done).await.unwrap();
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
    let (done, dead) = (State::Done, State::Dead);
    let mut settled = Vec::new();
    for (key, ending) in [
        ("a", done),
        ("b", dead),
        ("c", done),
        ("d", done),
        ("e", dead),
        ("f", dead),
    ] {
        put(&store, key).await;
        hands.advance(MINUTE);
        let leased = one(&store).await;
        let reason = "no".to_owned();
        let action = match ending {
            State::Dead => Action::Dead { reason },
            _ => Action::Done,
        };
        settle(&store, &leased.lease, action).await;
        settled.push((key, ending));
        let forgotten = settled.len().saturating_sub(2);
        for (place, (key, ending)) in settled.iter().enumerate() {
            let kept = (place >= forgotten).then_some(*ending);
            assert_eq!(state(&store, key).await, kept, "{key} of {settled:?}");
        }
    }
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.done, counts.dead), (0, 2));
}

#[tokio::test]
async fn as_many_are_remembered_as_was_asked_for_however_they_ended() {
    let store = MemoryStore::new().with_remembered(10);
    for id in 0..10 {
        put(&store, &id.to_string()).await;
        let leased = one(&store).await;
        let reason = String::new();
        let action = match id % 2 {
            0 => Action::Done,
            _ => Action::Dead { reason },
        };
        settle(&store, &leased.lease, action).await;
    }
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.done, counts.dead), (5, 5));
}

#[tokio::test]
async fn a_disowned_record_makes_room_for_another() {
    let store = MemoryStore::new().with_capacity(1);
    for key in ["a", "b", "c"] {
        assert_eq!(put(&store, key).await, Inserted::Fresh, "{key}");
        assert_eq!(put(&store, "more").await, Inserted::Full);
        let leased = one(&store).await;
        settle(&store, &leased.lease, Action::Disown).await;
    }
}

#[tokio::test]
async fn keys_are_told_apart_even_where_half_their_hashes_are_one() {
    let store = MemoryStore::new();
    let keys = [
        (events(), "a"),
        (events(), "b"),
        (Queue::tracked("music-video"), "a"),
    ];
    let insert = |queue: &Queue, key: &str| {
        let content = Content {
            id: NewRecord::new(queue.clone(), "", "").id,
            rank: 0,
            texts: Texts::new(key.as_bytes(), b"", b""),
            digest: None,
        };
        let zero = Duration::ZERO;
        store.lock().insert(queue, 7, content, zero, zero).unwrap()
    };
    for (queue, key) in &keys {
        assert_eq!(insert(queue, key), Inserted::Fresh, "while others wait");
    }
    let leased = store.lease(&events(), 2, MINUTE).await.unwrap();
    settle(&store, &leased[0].lease, Action::Done).await;
    settle(&store, &leased[1].lease, Action::Done).await;
    for (queue, key) in &keys {
        let repeated = insert(queue, key);
        assert!(matches!(repeated, Inserted::Duplicate { .. }), "{key}");
    }
    assert_eq!(
        insert(&events(), "c"),
        Inserted::Fresh,
        "beside what is done"
    );
}

#[tokio::test]
async fn a_page_is_filled_up_to_its_limit_and_looks_at_ten_thousand_records_at_most() {
    let store = MemoryStore::new();
    for id in 0..10_001 {
        put(&store, &id.to_string()).await;
    }
    let page = store.list(&events(), &Listing::all().with_limit(50)).await;
    assert_eq!(page.unwrap().records.len(), 50);
    loop {
        let leased = store.lease(&events(), 1000, MINUTE).await.unwrap();
        if leased.is_empty() {
            break;
        }
        for leased in leased {
            settle(&store, &leased.lease, Action::Done).await;
        }
    }
    // What is done in one queue is looked at for another one, too.
    let other = Queue::tracked("music-video");
    let waiting = NewRecord::new(other.clone(), "waiting", "");
    store.insert(&[waiting]).await.unwrap();
    let done = Listing::of(State::Done);
    let page = store.list(&other, &done).await.unwrap();
    assert!(page.records.is_empty());
    let next = page.next.expect("one was not looked at");
    let page = store.list(&other, &done.after(next)).await.unwrap();
    assert!(page.next.is_none(), "all were");
}

#[tokio::test]
async fn a_cursor_whose_time_is_none_is_rejected() {
    let cursor = |nanos: u32| {
        let parts = [&[0][..], &[0xff; 8], &nanos.to_be_bytes(), &[0; 8]];
        Cursor::from_bytes(parts.concat())
    };
    let store = MemoryStore::new();
    let last = Listing::all().after(cursor(999_999_999));
    assert!(store.list(&events(), &last).await.is_ok());
    let beyond = Listing::all().after(cursor(1_000_000_000));
    let error = store.list(&events(), &beyond).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
}

#[tokio::test]
async fn the_id_of_another_queues_record_leads_operators_nowhere() {
    let store = MemoryStore::new();
    let record = NewRecord::new(events(), "task", "body");
    store.insert(slice::from_ref(&record)).await.unwrap();
    let other = Queue::tracked("music-video");
    let neighbour = NewRecord::new(other.clone(), "task", "body");
    store.insert(&[neighbour]).await.unwrap();
    let deleted = store.delete(&other, &[record.id]).await.unwrap();
    assert_eq!(deleted, [Deleted::Unknown]);
    assert_eq!(state(&store, "task").await, Some(State::Pending));
}

#[tokio::test]
async fn a_full_quarantine_drops_its_oldest_counts_it_and_takes_nothing_from_the_events() {
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands)
        .with_quarantine(2)
        .with_capacity(1);
    let (mine, other) = (Queue::quarantine("a"), Queue::quarantine("b"));
    for (queue, key) in [
        (&other, "0"),
        (&mine, "1"),
        (&mine, "2"),
        (&mine, "3"),
        (&mine, "4"),
    ] {
        // A delay means nothing in quarantine: the order is by arrival.
        let record = NewRecord::new(queue.clone(), key, "{").with_due_in(MINUTE * 9);
        let inserted = store.insert(&[record]).await.unwrap();
        assert_eq!(inserted, [Inserted::Fresh]);
        hands.advance(MINUTE);
    }
    for (key, kept) in [("1", false), ("2", false), ("3", true), ("4", true)] {
        let found = store.find(&mine, key.as_bytes()).await.unwrap();
        assert_eq!(found.is_some(), kept, "{key}");
    }
    let counts = store.counts(&mine).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (2, 2));
    let counts = store.counts(&other).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (1, 0));
    assert_eq!(put(&store, "event").await, Inserted::Fresh);
    assert_eq!(put(&store, "another").await, Inserted::Full);

    let retention = Retention::default().with_quarantine(MINUTE * 2);
    assert_eq!(store.purge(&retention).await.unwrap().records, 2);
    let counts = store.counts(&mine).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (1, 2), "age is no drop");
}

#[tokio::test]
async fn only_the_newest_done_and_dead_records_keep_their_bodies() {
    let store = MemoryStore::new().with_bodies(2);
    for key in ["a", "b", "c"] {
        put(&store, key).await;
        let leased = one(&store).await;
        settle(&store, &leased.lease, Action::Done).await;
    }
    put(&store, "letter").await;
    let leased = one(&store).await;
    let reason = "given up".to_owned();
    settle(&store, &leased.lease, Action::Dead { reason }).await;
    for (key, body) in [
        ("a", None),
        ("b", Some("b")),
        ("c", Some("c")),
        ("letter", Some("letter")),
    ] {
        let found = store.find(&events(), key.as_bytes()).await.unwrap();
        let found = found.expect("it is remembered");
        assert_eq!(found.body.as_deref(), body.map(str::as_bytes), "{key}");
    }
}

#[tokio::test]
async fn a_stored_body_is_no_slice_of_the_buffer_it_came_in() {
    let store = MemoryStore::new();
    let buffer = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut record = NewRecord::new(events(), buffer.slice(..3), buffer.slice(3..6));
    record.meta = buffer.slice(6..9);
    store.insert(&[record]).await.unwrap();
    assert!(buffer.is_unique(), "the store holds on to the buffer");
    let leased = one(&store).await;
    assert_eq!((leased.body.len(), leased.meta.len()), (3, 3));
}

#[tokio::test]
async fn a_purge_works_in_steps_of_at_most_a_thousand_records() {
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands);
    for id in 0..2500 {
        put(&store, &id.to_string()).await;
        let leased = one(&store).await;
        settle(&store, &leased.lease, Action::Done).await;
    }
    hands.advance(MINUTE);
    for retention in [
        Retention::default().with_bodies(MINUTE),
        Retention::default().with_keys(MINUTE),
    ] {
        let mut steps = Vec::new();
        loop {
            let step = store.purge(&retention).await.unwrap();
            steps.push(step.records);
            if !step.more {
                break;
            }
        }
        assert_eq!(steps, [1000, 1000, 500]);
    }
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!(counts.done, 0);
}

#[tokio::test]
async fn an_upgrade_finds_its_place_in_a_full_store() {
    let store = MemoryStore::new().with_capacity(1);
    put(&store, "failure").await;
    let leased = one(&store).await;
    settle(&store, &leased.lease, Action::Done).await;
    put(&store, "waiting").await;
    assert_eq!(put(&store, "new").await, Inserted::Full);
    let success = NewRecord::new(events(), "failure", "success").with_rank(1);
    let inserted = store.insert(&[success]).await.unwrap();
    assert_eq!(inserted, [Inserted::Upgraded]);
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.pending, counts.done), (2, 0));
    let old = store.lock().done.payload(0).is_some();
    assert!(!old, "the old body is kept, and nobody can find it");
}

#[tokio::test]
async fn what_upgrades_leave_behind_is_swept_and_nothing_else_is_forgotten() {
    let store = MemoryStore::new().with_remembered(10).with_bodies(3);
    for round in 0..100u16 {
        for key in 0..5 {
            let key = key.to_string();
            let record = NewRecord::new(events(), key.clone(), key).with_rank(round);
            let inserted = store.insert(&[record]).await.unwrap();
            let promised = if round == 0 {
                Inserted::Fresh
            } else {
                Inserted::Upgraded
            };
            assert_eq!(inserted, [promised], "round {round}");
            let leased = one(&store).await;
            let action = if round % 2 == 0 {
                Action::Done
            } else {
                let reason = String::new();
                Action::Dead { reason }
            };
            settle(&store, &leased.lease, action).await;
        }
    }
    let inner = store.lock();
    assert_eq!(inner.remembered, 5);
    let entries = |log: &Log| log.newest_before(u64::MAX).count();
    assert!(entries(&inner.done) + entries(&inner.dead) <= 20);
}

#[tokio::test]
async fn counts_tell_what_is_waiting_held_and_settled() {
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands);
    for key in ["done", "dead", "held", "expired", "waiting"] {
        put(&store, key).await;
    }
    let leased = store.lease(&events(), 3, MINUTE * 2).await.unwrap();
    let expired = one(&store).await;
    assert_eq!(expired.key, "expired");
    settle(&store, &leased[0].lease, Action::Done).await;
    let reason = String::new();
    settle(&store, &leased[1].lease, Action::Dead { reason }).await;
    hands.advance(MINUTE);
    let counts = store.counts(&events()).await.unwrap();
    assert_eq!((counts.pending, counts.leased), (2, 1));
    assert_eq!((counts.done, counts.dead), (1, 1));
    let none = store.counts(&Queue::tracked("music-video")).await.unwrap();
    assert_eq!(none, Counts::default());
}

#[tokio::test]
async fn a_token_of_another_store_settles_nothing() {
    let (store, other) = (MemoryStore::new(), MemoryStore::new());
    for store in [&store, &other] {
        put(store, "task").await;
    }
    let (mine, theirs) = (one(&store).await, one(&other).await);
    assert_eq!(
        settle(&store, &theirs.lease, Action::Done).await,
        Settled::Stale
    );
    assert_eq!(
        settle(&store, &mine.lease, Action::Done).await,
        Settled::Applied
    );
}

#[test]
fn nothing_of_an_event_is_in_the_debug_text() {
    assert_eq!(format!("{:?}", MemoryStore::new()), "MemoryStore { .. }");
}

#[tokio::test]
async fn a_repeated_disown_is_applied_whatever_other_keys_there_are() {
    let store = MemoryStore::new();
    for id in 0..20_000 {
        put(&store, &id.to_string()).await;
    }
    while let Some(leased) = store.lease(&events(), 1, MINUTE).await.unwrap().pop() {
        for _ in 0..2 {
            let settled = settle(&store, &leased.lease, Action::Disown).await;
            assert_eq!(settled, Settled::Applied, "{:?}", leased.key);
        }
    }
}

#[tokio::test]
async fn what_was_settled_is_kept_for_its_time_even_after_decades_of_turned_time() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands);
    hands.advance(year * 50);
    put(&store, "task").await;
    let leased = one(&store).await;
    settle(&store, &leased.lease, Action::Done).await;
    let retention = Retention::default().with_keys(MINUTE);
    store.purge(&retention).await.unwrap();
    assert_eq!(state(&store, "task").await, Some(State::Done));
    hands.advance(MINUTE);
    store.purge(&retention).await.unwrap();
    assert_eq!(state(&store, "task").await, None);
}

#[tokio::test]
async fn what_lives_again_remembers_who_settled_it() {
    let store = MemoryStore::new();
    put(&store, "task").await;
    let leased = one(&store).await;
    settle(&store, &leased.lease, Action::Done).await;
    let success = NewRecord::new(events(), "task", "success").with_rank(1);
    store.insert(&[success]).await.unwrap();
    let found = store.find(&events(), b"task").await.unwrap();
    let found = found.expect("it lives again");
    assert_eq!(found.state, State::Pending);
    assert_eq!(found.settled_by, Some(leased.lease.token));
    assert_eq!(
        settle(&store, &leased.lease, Action::Done).await,
        Settled::Applied,
        "a repeat of the last settlement"
    );
    assert_eq!(state(&store, "task").await, Some(State::Pending));
}
