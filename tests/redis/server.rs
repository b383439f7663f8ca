//! What goes on with a server that stays.

use std::{pin::pin, time::Duration};

use futures_util::FutureExt;
use tower_callback::{
    RedisStore,
    store::{
        Action, Inbox, Inserted, NewRecord, Queue, Retention, Settled, Settlement, State, Store,
    },
};

use crate::{LONG, end, event, events, one, open, put, servers::redis::Redis, trials};

trials! {
    scripts_that_the_server_forgot_are_sent_again,
    other_processes_inserts_are_told,
    a_token_is_remembered_when_the_body_is_gone,
    an_earlier_end_of_what_was_settled_again_keeps_nobodys_body,
    quarantine_drops_its_oldest_and_counts_it,
    what_is_remembered_of_a_key_is_small,
    an_empty_lease_over_100k_future_records_asks_no_more_than_over_none,
    a_clock_that_is_turned_back_stops_nothing,
    a_batch_of_any_size_is_answered_in_order,
    a_higher_rank_within_one_batch_is_what_is_kept,
}

async fn fresh_store() -> (RedisStore, String) {
    let server = Redis::shared();
    let name = server.name();
    let options = RedisStore::options().with_name(name.as_str());
    (open(server, options).await.unwrap(), name)
}

async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let flush = || server.ok(&["SCRIPT", "FLUSH"]);
    flush();
    assert_eq!(put(&store, &event("a")).await, Inserted::Fresh);
    flush();
    let leased = one(&store).await;
    flush();
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    flush();
    let found = store.find(&events(), b"a").await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    flush();
    store.purge(&Retention::default()).await.unwrap();
}

async fn other_processes_inserts_are_told() {
    let server = Redis::shared();
    let (store, name) = fresh_store().await;
    let options = RedisStore::options().with_name(name);
    let other = open(server, options.clone()).await.unwrap();
    // The first time, nobody listened before.
    store.changed(&events()).await;
    let queue = events();
    let mut changed = pin!(store.changed(&queue));
    assert!(changed.as_mut().now_or_never().is_none());
    put(&other, &event("a")).await;
    tokio::time::timeout(Duration::from_secs(30), changed)
        .await
        .unwrap();

    // What is told while nobody waits is not missed.
    let leased = one(&store).await;
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    put(&other, &event("b")).await;
    tokio::time::timeout(Duration::from_secs(30), store.changed(&queue))
        .await
        .unwrap();

    let deaf = open(server, options.with_wake_up(false)).await.unwrap();
    let mut changed = pin!(deaf.changed(&queue));
    assert!(changed.as_mut().now_or_never().is_none());
}

async fn a_token_is_remembered_when_the_body_is_gone() {
    let (store, _) = fresh_store().await;
    let record = event("a");
    put(&store, &record).await;
    let leased = one(&store).await;
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    let no_bodies = Retention::default().with_bodies(Duration::ZERO);
    assert_eq!(store.purge(&no_bodies).await.unwrap().records, 1);

    let found = store.find(&events(), b"a").await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.id, found.body),
        (State::Done, record.id, None)
    );
    assert_eq!(found.settled_by, Some(leased.lease.token));
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    let extend = Action::Extend { ttl: LONG };
    assert_eq!(end(&store, &leased, extend).await, Settled::Stale);
    assert_eq!(put(&store, &record).await, Inserted::Fresh);

    // It lives again with a higher rank, and the old token is the last one until it is leased.
    let better = event("a").with_rank(1);
    assert_eq!(put(&store, &better).await, Inserted::Upgraded);
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    let again = one(&store).await;
    assert_eq!((again.lease.id, again.attempt), (better.id, 1));
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Stale);
    assert_eq!(end(&store, &again, Action::Done).await, Settled::Applied);
    // Its earlier end is in the way of nothing.
    assert_eq!(store.purge(&no_bodies).await.unwrap().records, 1);
    let no_keys = Retention::default().with_keys(Duration::ZERO);
    assert_eq!(store.purge(&no_keys).await.unwrap().records, 1);
    assert!(store.find(&events(), b"a").await.unwrap().is_none());
}

async fn an_earlier_end_of_what_was_settled_again_keeps_nobodys_body() {
    let (store, _) = fresh_store().await;
    for key in ["twice", "once"] {
        put(&store, &event(key)).await;
        let leased = one(&store).await;
        assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);
    }
    assert_eq!(
        put(&store, &event("twice").with_rank(1)).await,
        Inserted::Upgraded
    );
    let leased = one(&store).await;
    let age = Duration::from_millis(500);
    tokio::time::sleep(age).await;
    assert_eq!(end(&store, &leased, Action::Done).await, Settled::Applied);

    // The first end in the log is that of a record which has ended a moment ago.
    store
        .purge(&Retention::default().with_bodies(age))
        .await
        .unwrap();
    let found = store.find(&events(), b"once").await.unwrap().unwrap();
    assert_eq!((found.state, found.body), (State::Done, None));
}

async fn quarantine_drops_its_oldest_and_counts_it() {
    use tower_callback::store::inspect::Inspect;

    let server = Redis::shared();
    let options = RedisStore::options()
        .with_name(server.name())
        .with_quarantine(3);
    let store = open(server, options).await.unwrap();
    let queue = Queue::quarantine("test");
    for n in 0..5 {
        let record = NewRecord::new(queue.clone(), format!("{n}"), "{");
        assert_eq!(put(&store, &record).await, Inserted::Fresh);
    }
    for n in 0..5 {
        let found = store.find(&queue, format!("{n}").as_bytes()).await.unwrap();
        assert_eq!(found.is_some(), n >= 2, "{n}");
    }
    let counts = store.counts(&queue).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (3, 2));
    // Events have room of their own.
    assert_eq!(put(&store, &event("a")).await, Inserted::Fresh);
}

/// With few keys, each of them also pays for a good part of its bucket; with millions, for little.
async fn what_is_remembered_of_a_key_is_small() {
    const KEYS: usize = 30_000;
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let used = || {
        let info = server.command(&["INFO", "memory"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory_dataset:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    let empty = used();
    fill(&store, KEYS).await;
    let pending = used() - empty;
    drain(&store, KEYS).await;
    let no_bodies = Retention::default().with_bodies(Duration::ZERO);
    while store.purge(&no_bodies).await.unwrap().more {}
    let remembered = used().saturating_sub(empty);
    let (pending, remembered) = (pending / KEYS, remembered / KEYS);
    println!("{pending} bytes for each pending record, {remembered} for each remembered key");
    assert!(pending < 700, "{pending}");
    assert!(remembered < 260, "{remembered}");
}

async fn an_empty_lease_over_100k_future_records_asks_no_more_than_over_none() {
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let later = |n: usize| event(format!("later-{n}")).with_due_in(LONG);
    put(&store, &later(0)).await;
    // Sent in full the first time.
    assert!(store.lease(&events(), 100, LONG).await.unwrap().is_empty());
    let over_none = asked_by_a_lease(&server, &store).await;
    for batch in 0..100 {
        let records: Vec<_> = (1..=1000).map(|n| later(batch * 1000 + n)).collect();
        store.insert(&records).await.unwrap();
    }
    assert_eq!(asked_by_a_lease(&server, &store).await, over_none);
    assert!(
        over_none.contains("cmdstat_zrangebyscore:calls="),
        "{over_none}"
    );
}

/// Which commands an empty lease runs, and how often: also those of the script.
async fn asked_by_a_lease(server: &Redis, store: &RedisStore) -> String {
    server.ok(&["CONFIG", "RESETSTAT"]);
    assert!(store.lease(&events(), 100, LONG).await.unwrap().is_empty());
    let told = server.command(&["INFO", "commandstats"]);
    let commands = told.lines().filter(|line| line.starts_with("cmdstat_"));
    let mut counts: Vec<_> = commands
        .map(|line| line.split_once(",usec").unwrap().0)
        .collect();
    counts.sort_unstable();
    counts.join(" ")
}

async fn fill(store: &RedisStore, keys: usize) {
    for batch in 0..keys / 1000 {
        let records: Vec<_> = (0..1000)
            .map(|n| NewRecord::new(events(), format!("task-{batch}-{n}"), "12345678"))
            .collect();
        store.insert(&records).await.unwrap();
    }
}

async fn drain(store: &RedisStore, keys: usize) {
    let mut left = keys;
    while left > 0 {
        let leased = store.lease(&events(), 1000, LONG).await.unwrap();
        assert!(!leased.is_empty());
        left -= leased.len();
        let done: Vec<_> = leased
            .into_iter()
            .map(|leased| Settlement::new(leased.lease, Action::Done))
            .collect();
        store.settle(&done).await.unwrap();
    }
}

/// As it looks after a replica with a clock that is an hour behind has taken over.
async fn a_clock_that_is_turned_back_stops_nothing() {
    let server = Redis::shared();
    let (store, name) = fresh_store().await;
    put(&store, &event("before")).await;
    let meta = format!("{{{name}}}:m");
    let answer = server.command(&["HGET", &meta, "c"]);
    let clock: u64 = answer.lines().nth(1).unwrap().trim().parse().unwrap();
    let ahead = clock + 3_600_000;
    server.command(&["HSET", &meta, "c", &ahead.to_string()]);

    let leased = one(&store).await;
    assert!(leased.age >= LONG, "{:?}", leased.age);
    let after = Duration::from_millis(50);
    let error = "again".to_owned();
    let retry = Action::RetryIn { after, error };
    assert_eq!(end(&store, &leased, retry).await, Settled::Applied);
    let again = crate::at_last("time goes on", || async {
        let mut leased = store.lease(&events(), 1, LONG).await.unwrap();
        leased.pop().ok_or("nothing is due")
    });
    assert_eq!(again.await.attempt, 2);
}

async fn a_higher_rank_within_one_batch_is_what_is_kept() {
    let (store, _) = fresh_store().await;
    let better = |key: &'static str| NewRecord::new(events(), key, "better").with_rank(1);
    let batch = [
        event("now").with_due_in(LONG),
        event("later"),
        better("now"),
        better("later").with_due_in(LONG),
        event("now"),
        better("now"),
    ];
    let duplicate = Inserted::Duplicate {
        id: batch[2].id,
        rank: 1,
        state: State::Pending,
        differs: true,
    };
    let same = Inserted::Duplicate {
        id: batch[2].id,
        rank: 1,
        state: State::Pending,
        differs: false,
    };
    let promised = [
        Inserted::Fresh,
        Inserted::Fresh,
        Inserted::Upgraded,
        Inserted::Upgraded,
        duplicate,
        same,
    ];
    assert_eq!(store.insert(&batch).await.unwrap(), promised);
    let leased = store.lease(&events(), 10, LONG).await.unwrap();
    let due: Vec<_> = leased.iter().map(|leased| leased.lease.id).collect();
    assert_eq!(due, [batch[2].id]);
    assert_eq!((&leased[0].body[..], leased[0].rank), (&b"better"[..], 1));
    let found = store.find(&events(), b"later").await.unwrap().unwrap();
    assert_eq!((found.id, found.rank), (batch[3].id, 1));
    assert_eq!(found.body.as_deref(), Some(&b"better"[..]));
}

/// One script takes a thousand records and 4 MiB at most.
async fn a_batch_of_any_size_is_answered_in_order() {
    let (store, _) = fresh_store().await;
    let known: Vec<_> = (0..2500)
        .step_by(7)
        .map(|n| event(format!("{n}")))
        .collect();
    store.insert(&known).await.unwrap();
    let batch: Vec<_> = (0..2500).map(|n| event(format!("{n}"))).collect();
    let answers = store.insert(&batch).await.unwrap();
    assert_eq!(answers.len(), batch.len());
    for (n, answer) in answers.iter().enumerate() {
        let fresh = *answer == Inserted::Fresh;
        assert_eq!(fresh, n % 7 != 0, "{n}: {answer:?}");
    }
    let large: Vec<_> = (0..3)
        .map(|n| NewRecord::new(events(), format!("large {n}"), vec![n; 5 * 1024 * 1024]))
        .collect();
    assert_eq!(
        store.insert(&large).await.unwrap(),
        vec![Inserted::Fresh; 3]
    );
    for record in &large {
        let found = store.find(&events(), &record.key).await.unwrap().unwrap();
        assert_eq!(found.body.as_ref(), Some(&record.body));
    }
}
