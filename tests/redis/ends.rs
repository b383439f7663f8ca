//! The end of a server, under load.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tower_callback::{
    RedisStore,
    store::{Action, Inbox, Inserted, NewRecord, RecordId, Settled, Settlement, State, Store},
};

use crate::{LONG, at_last, end, event, events, one, open, put, servers::redis::Redis, trials};

trials! {
    what_was_acknowledged_survives_kills_under_load,
    a_restart_is_survived_without_reopening,
    a_restored_backup_brings_no_token_again,
}

/// Several callers insert, lease and settle while the server is killed and started again, three times.
async fn what_was_acknowledged_survives_kills_under_load() {
    let server = Arc::new(Redis::start(&[]));
    let store = open(&server, RedisStore::options()).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<HashMap<String, RecordId>>> = Arc::default();
    let settled: Arc<Mutex<Vec<String>>> = Arc::default();

    let inserters = (0..3).map(|caller| {
        let (store, over, acknowledged) = (store.clone(), over.clone(), acknowledged.clone());
        tokio::spawn(async move {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                let batch: Vec<NewRecord> = (0..20)
                    .map(|i| event(format!("{caller}-{}", n + i)))
                    .collect();
                // Not repeated: what was not acknowledged is in or not.
                let answers = store.insert(&batch).await;
                for (record, answer) in batch.iter().zip(answers.into_iter().flatten()) {
                    assert_eq!(answer, Inserted::Fresh);
                    let key = String::from_utf8(record.key.to_vec()).unwrap();
                    acknowledged.lock().unwrap().insert(key, record.id);
                }
                n += 20;
                tokio::task::yield_now().await;
            }
        })
    });
    let worker = {
        let (store, over, settled) = (store.clone(), over.clone(), settled.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let Ok(leased) = store.lease(&events(), 10, LONG).await else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let done: Vec<_> = leased
                    .iter()
                    .map(|leased| Settlement::new(leased.lease.clone(), Action::Done))
                    .collect();
                if let Ok(answers) = store.settle(&done).await {
                    let applied = leased.iter().zip(answers);
                    let applied = applied.filter(|(_, answer)| *answer == Settled::Applied);
                    settled.lock().unwrap().extend(
                        applied.map(|(leased, _)| String::from_utf8(leased.key.to_vec()).unwrap()),
                    );
                }
            }
        })
    };
    let tasks: Vec<_> = inserters.chain([worker]).collect();
    for round in 1..=3 {
        let enough = || {
            let count = acknowledged.lock().unwrap().len();
            async move {
                if count >= round * 200 {
                    Ok(())
                } else {
                    Err(count)
                }
            }
        };
        at_last("some are acknowledged", enough).await;
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            server.kill();
            server.run();
        })
        .await
        .unwrap();
    }
    let before = acknowledged.lock().unwrap().len();
    at_last("it goes on", || {
        let more = acknowledged.lock().unwrap().len() > before;
        async move { more.then_some(()).ok_or("nothing is acknowledged") }
    })
    .await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (key, id) in &acknowledged {
        let found = store.find(&events(), key.as_bytes()).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{key} was acknowledged and is lost"));
        assert_eq!(found.id, *id);
    }
    let settled = settled.lock().unwrap().clone();
    for key in &settled {
        let found = store
            .find(&events(), key.as_bytes())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, State::Done, "{key} was done, and is back");
    }
}

async fn a_restart_is_survived_without_reopening() {
    let server = Redis::start(&[]);
    let store = open(&server, RedisStore::options()).await.unwrap();
    let record = event("a");
    put(&store, &record).await;
    let leased = one(&store).await;
    server.stop("TERM");
    store.insert(&[event("b")]).await.unwrap_err();
    server.run();
    let answers = at_last("it is back", || store.insert(std::slice::from_ref(&record))).await;
    assert_eq!(answers, [Inserted::Fresh]);
    let done = Settlement::new(leased.lease.clone(), Action::Done);
    let settled = at_last("it is back", || store.settle(std::slice::from_ref(&done))).await;
    assert_eq!(settled, [Settled::Applied]);
}

async fn a_restored_backup_brings_no_token_again() {
    let server = Redis::shared();
    let name = server.name();
    let options = RedisStore::options().with_name(name.as_str());
    let store = open(server, options).await.unwrap();
    put(&store, &event("a")).await;
    // One record, three keys that tell of its lease.
    let keys = ["p\0\0\0\0\0\u{1}", "w1", "h1"].map(|key| format!("{{{name}}}:{key}"));
    let copy = |from: &str, to: &str| {
        server.command(&["COPY", from, to, "REPLACE"]);
    };
    for key in &keys {
        copy(key, &format!("{key}-backup"));
    }
    let first = one(&store).await;
    for key in &keys {
        server.command(&["DEL", key]);
        copy(&format!("{key}-backup"), key);
    }
    let second = one(&store).await;
    assert_eq!((first.attempt, second.attempt), (1, 1));
    assert_ne!(first.lease.token, second.lease.token);
    assert_eq!(end(&store, &first, Action::Done).await, Settled::Stale);
    assert_eq!(end(&store, &second, Action::Done).await, Settled::Applied);
}
