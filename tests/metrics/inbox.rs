//! The gauges of the inbox, and what else a health tells.

use tower_callback::{
    Callbacks, MemoryStore, MusicVideo, Token,
    health::Health,
    store::{Action, Inbox, NewRecord, Queue, Settlement, Store},
};

use crate::{Counted, Line, NAME, SECRET, texts};

fn record(queue: Queue, key: &str, rank: u16) -> NewRecord {
    let body = MusicVideo::succeeded(key, "https://example.com/v.mp4").encode();
    NewRecord::new(queue, key.to_owned(), body).with_rank(rank)
}

#[tokio::test]
async fn a_look_tells_what_is_in_each_state_and_how_old_it_is() {
    let counted = Counted::start();
    let hands = tower_callback::Clock::manual();
    let store = MemoryStore::with_clock(&hands);
    let events = Queue::events(NAME);
    let minute = std::time::Duration::from_secs(60);
    store
        .insert(&[record(events.clone(), "dead", 1)])
        .await
        .unwrap();
    let leased = store.lease(&events, 1, minute).await.unwrap().remove(0);
    let reason = "it is over".to_owned();
    let dead = Settlement::new(leased.lease, Action::Dead { reason });
    store.settle(&[dead]).await.unwrap();
    hands.advance(5 * minute);
    store
        .insert(&[
            record(events.clone(), "leased", 1),
            record(events.clone(), "waits", 0),
            record(Queue::quarantine(NAME), "unread", 0),
        ])
        .await
        .unwrap();
    store.lease(&events, 1, 60 * minute).await.unwrap();
    hands.advance(2 * minute);

    // A front, or nobody at all, can see it: no worker is in this process.
    let health = Health::new(store).with_endpoint(NAME);
    assert!(health.check().await.is_ready());
    let lines = counted.lines();
    lines.iter().for_each(Line::check);
    let told = texts(lines, "");
    for expected in [
        "inbox_records{endpoint=music-video,queue=events,state=dead} 1",
        "inbox_records{endpoint=music-video,queue=events,state=done} 0",
        "inbox_records{endpoint=music-video,queue=events,state=leased} 1",
        "inbox_records{endpoint=music-video,queue=events,state=pending} 1",
        "inbox_records{endpoint=music-video,queue=quarantine,state=pending} 1",
        "inbox_records{endpoint=music-video,queue=tracked,state=pending} 0",
        "oldest_pending_seconds{endpoint=music-video,queue=events} 120",
        "oldest_unhandled_seconds{endpoint=music-video,rank=0} 120",
        "oldest_unhandled_seconds{endpoint=music-video,rank=1+} 420",
        "ready{endpoint=music-video} 1",
    ] {
        assert!(
            told.iter().any(|line| line == expected),
            "{expected}: {told:#?}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_without_its_worker_is_told_as_unready() {
    let store = MemoryStore::new();
    let (service, worker) = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .handle(async |_| Ok(()))
        .build()
        .unwrap();
    drop(worker);
    let counted = Counted::start();
    let health = Health::new(store).with_service(&service);
    assert!(!health.check().await.is_ready());
    assert_eq!(counted.told("ready"), ["ready{endpoint=music-video} 0"]);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_tells_how_much_of_its_disk_is_free_and_of_batches_how_large_they_are() {
    use tower_callback::store::{Inspect, SqliteOptions};
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteOptions::default()
        .with_reserve(4096)
        .open(directory.path().join("a.db"))
        .await
        .unwrap();
    let counted = Counted::start();
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .build_front()
        .unwrap();
    let query = format!("token={SECRET}");
    assert_eq!(crate::send(&service, &query, crate::SUCCESS).await, 200);
    assert_eq!(store.counts(&Queue::events(NAME)).await.unwrap().pending, 1);
    let lines = counted.lines();
    lines.iter().for_each(Line::check);
    let told = texts(lines, "");
    let is_told = |begin: &str| told.iter().any(|line| line.starts_with(begin));
    assert!(is_told("disk_reserve_bytes{of=sqlite} 4096"), "{told:#?}");
    assert!(is_told("disk_free_bytes{of=sqlite} "), "{told:#?}");
    assert!(is_told(
        "commit_records{endpoint=music-video,outcome=written} of 1"
    ));
}
