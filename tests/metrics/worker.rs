//! What a worker counts.

use std::time::Duration;

use tower_callback::{
    Callbacks, GiveUp, HandlerError, MemoryStore, MusicVideo, RetryPolicy, Token,
    store::{Inbox, Inspect, NewRecord, Queue},
};

use crate::{Counted, NAME, SECRET};

/// Handles events until none is pending, each as its task's name says.
async fn handle(store: &MemoryStore) {
    let worker = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .retry(RetryPolicy::default().with_first_delay(Duration::from_millis(1)))
        .handler_timeout(Duration::from_millis(50))
        .handle(|delivery| async move {
            let is_first = delivery.attempt() == 1;
            match delivery.event.task_id.as_str() {
                "fails-once" if is_first => Err("not yet".into()),
                "panics-once" if is_first => panic!("no luck"),
                "hangs-once" if is_first => std::future::pending().await,
                "gives-up" => Err(GiveUp::new("never").into()),
                _ => Ok::<(), HandlerError>(()),
            }
        })
        .build_worker()
        .unwrap();
    let none_waits = async {
        loop {
            let counts = store.counts(&Queue::events(NAME)).await.unwrap();
            if counts.pending + counts.leased == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), worker.run_until(none_waits))
        .await
        .unwrap();
}

async fn insert(store: &MemoryStore, task: &str, source: &str) {
    let body = MusicVideo::succeeded(task, "https://example.com/v.mp4").encode();
    let meta = format!(r#"{{"arrived":1735661400000,"source":"{source}"}}"#);
    let record = NewRecord::new(Queue::events(NAME), task.to_owned(), body).with_meta(meta);
    store.insert(&[record]).await.unwrap();
}

#[tokio::test]
async fn deliveries_are_counted_by_source_and_result_and_handlers_by_how_they_ended() {
    let counted = Counted::start();
    let store = MemoryStore::new();
    for task in [
        "good",
        "fails-once",
        "panics-once",
        "hangs-once",
        "gives-up",
    ] {
        insert(&store, task, "callback").await;
    }
    insert(&store, "polled", "poll").await;
    handle(&store).await;
    assert_eq!(
        counted.told(""),
        [
            "dead_total{endpoint=music-video,queue=events} 1",
            "deliveries_total{endpoint=music-video,source=callback,result=dead} 1",
            "deliveries_total{endpoint=music-video,source=callback,result=handled} 4",
            "deliveries_total{endpoint=music-video,source=callback,result=retried} 3",
            "deliveries_total{endpoint=music-video,source=poll,result=handled} 1",
            "handler_seconds{endpoint=music-video,result=failed} of 2",
            "handler_seconds{endpoint=music-video,result=handled} of 5",
            "handler_seconds{endpoint=music-video,result=panicked} of 1",
            "handler_seconds{endpoint=music-video,result=timed_out} of 1",
            "retries_total{endpoint=music-video} 3",
        ]
    );
}

#[tokio::test]
async fn what_a_shutdown_gives_back_is_released() {
    let counted = Counted::start();
    let store = MemoryStore::new();
    insert(&store, "slow", "callback").await;
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let worker = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .shutdown_grace(Duration::ZERO)
        .handle(move |_| {
            began.send(()).unwrap();
            std::future::pending()
        })
        .build_worker()
        .unwrap();
    worker
        .run_until(async move { begun.recv().await.unwrap() })
        .await;
    assert_eq!(
        counted.told("deliveries"),
        ["deliveries_total{endpoint=music-video,source=callback,result=released} 1"]
    );
}
