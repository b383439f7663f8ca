//! A connection that is cut or stalls in the middle of a call.

use std::{future::poll_fn, pin::pin, time::Duration};

use tower_callback::{
    RedisStore,
    store::{Action, Inbox, Inserted, Retention, Settled, Settlement, State, Store},
};

use crate::{
    LONG, at_last, event, events,
    servers::{
        proxy::{Proxy, Way},
        redis::{Redis, url},
    },
    trials,
};

trials! {
    an_insert_that_was_cut_is_right_when_it_is_repeated,
    a_settlement_that_was_cut_is_right_when_it_is_repeated,
    a_lease_that_was_cut_ends_by_itself,
    one_call_that_fails_is_enough_to_connect_anew,
    a_stalled_connection_is_given_up_for_a_new_one,
    a_call_that_is_dropped_while_nothing_comes_takes_its_connection_along,
    a_server_that_is_away_for_long_is_found_again,
}

/// Nothing of the request, a part, all of it and nothing of the answer, a part of the answer.
const CUTS: [(Way, usize); 4] = [
    (Way::Request, 0),
    (Way::Request, 60),
    (Way::Answer, 0),
    (Way::Answer, 2),
];

async fn behind(proxy: &Proxy, timeout: Duration) -> RedisStore {
    let options = RedisStore::options().with_name(Redis::shared().name());
    let options = options.with_response_timeout(timeout);
    options.connect(url(proxy.address())).await.unwrap()
}

async fn an_insert_that_was_cut_is_right_when_it_is_repeated() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, LONG).await;
    let queue = events();
    for (n, (way, bytes)) in CUTS.into_iter().enumerate() {
        let records = [event(format!("{n} a")), event(format!("{n} b"))];
        proxy.cut_after(way, bytes);
        store.insert(&records).await.unwrap_err();
        // Other connections were cut too.
        let found = at_last("asked", || store.find(&queue, &records[0].key)).await;
        assert_eq!(found.is_some(), way == Way::Answer, "{n}");
        let answers = at_last("inserted", || store.insert(&records)).await;
        assert_eq!(answers, [Inserted::Fresh; 2], "{n}");
        let other = event(format!("{n} a"));
        let answer = at_last("repeated", || store.insert(std::slice::from_ref(&other))).await[0];
        let Inserted::Duplicate { id, .. } = answer else {
            panic!("{n}: {answer:?}");
        };
        assert_eq!(id, records[0].id);
    }
}

async fn a_settlement_that_was_cut_is_right_when_it_is_repeated() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, LONG).await;
    let queue = events();
    for (n, (way, bytes)) in CUTS.into_iter().enumerate() {
        let record = event(format!("{n}"));
        at_last("inserted", || store.insert(std::slice::from_ref(&record))).await;
        let leased = at_last("leased", || store.lease(&queue, 1, LONG)).await;
        let done = [Settlement::new(leased[0].lease.clone(), Action::Done)];
        proxy.cut_after(way, bytes);
        store.settle(&done).await.unwrap_err();
        let settled = at_last("settled", || store.settle(&done)).await;
        assert_eq!(settled, [Settled::Applied], "{n}");
        let found = store.find(&events(), &record.key).await.unwrap().unwrap();
        assert_eq!(found.state, State::Done, "{n}");
    }
    for call in ["find", "purge"] {
        proxy.cut_after(Way::Answer, 1);
        if call == "find" {
            store.find(&events(), b"0").await.unwrap_err();
        } else {
            store.purge(&Retention::default()).await.unwrap_err();
        }
        at_last(call, || store.find(&queue, b"0")).await.unwrap();
    }
}

async fn a_lease_that_was_cut_ends_by_itself() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, LONG).await;
    store.insert(&[event("a")]).await.unwrap();
    // The first lease also makes the connection.
    let nothing = store
        .lease(&tower_callback::store::Queue::events("other"), 1, LONG)
        .await;
    assert!(nothing.unwrap().is_empty());
    proxy.cut_after(Way::Answer, 0);
    let ttl = Duration::from_millis(50);
    store.lease(&events(), 1, ttl).await.unwrap_err();
    let leased = at_last("leased again", || async {
        let leased = store
            .lease(&events(), 1, LONG)
            .await
            .map_err(|_| "it failed")?;
        leased.into_iter().next().ok_or("nothing is due")
    })
    .await;
    assert_eq!((leased.attempt, leased.expiries), (2, 1));
}

/// A server that was restarted has closed the connections for inserts and for all else.
async fn one_call_that_fails_is_enough_to_connect_anew() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, LONG).await;
    let (first, second) = ([event("first")], [event("second")]);
    store.insert(&first).await.unwrap();
    store.find(&events(), b"first").await.unwrap();

    proxy.cut_after(Way::Answer, 0);
    store.find(&events(), b"first").await.unwrap_err();
    assert_eq!(store.insert(&second).await.unwrap(), [Inserted::Fresh]);

    proxy.cut_after(Way::Answer, 0);
    store.insert(&first).await.unwrap_err();
    assert!(
        store
            .find(&events(), b"first")
            .await
            .unwrap()
            .unwrap()
            .body
            .is_some()
    );
}

async fn a_stalled_connection_is_given_up_for_a_new_one() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, Duration::from_millis(300)).await;
    let record = event("a");
    proxy.stall();
    store
        .insert(std::slice::from_ref(&record))
        .await
        .unwrap_err();
    proxy.pass();
    let answers = at_last("inserted", || store.insert(std::slice::from_ref(&record))).await;
    assert_eq!(answers, [Inserted::Fresh]);
}

/// The group commit drops a call at its deadline, long before the client would give up.
async fn a_call_that_is_dropped_while_nothing_comes_takes_its_connection_along() {
    // Nobody else's connections are counted.
    let server = Redis::start(&[]);
    let proxy = Proxy::to(server.address());
    let store = behind(&proxy, LONG).await;
    let record = event("a");
    proxy.stall();
    {
        let records = [record.clone()];
        let mut insert = pin!(store.insert(&records));
        let polled = poll_fn(|context| std::task::Poll::Ready(insert.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        // As long as makes a call suspicious.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let connections = || {
        let stats = server.command(&["INFO", "stats"]);
        let count = |line: &str| {
            line.strip_prefix("total_connections_received:")?
                .trim()
                .parse()
                .ok()
        };
        stats.lines().find_map(count).unwrap()
    };
    let before: u64 = connections();
    proxy.pass();
    let repeat = store.insert(std::slice::from_ref(&record));
    let answers = tokio::time::timeout(Duration::from_secs(30), repeat)
        .await
        .unwrap();
    assert_eq!(answers.unwrap(), [Inserted::Fresh]);
    // One that asked, and the new one.
    assert_eq!(connections() - before, 2);
}

async fn a_server_that_is_away_for_long_is_found_again() {
    let proxy = Proxy::to(Redis::shared().address());
    let store = behind(&proxy, Duration::from_secs(5)).await;
    proxy.refuse();
    for _ in 0..20 {
        store.insert(&[event("meanwhile")]).await.unwrap_err();
    }
    proxy.pass();
    let after = [event("after")];
    at_last("it is back", || store.insert(&after)).await;
}
