//! Readiness: the worker, the store, the inbox, and what a flood of probes costs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, MemoryStore, MusicVideo, Token, Worker,
    health::Health,
    store::{
        Counts, Durability, Found, Inbox, Inserted, Inspect, Leased, NewRecord, Purged, Queue,
        RecordId, Retention, Settled, Settlement, Store, StoreError,
        inspect::{Deleted, Listing, Page, Record, Requeued},
    },
};

const NAME: &str = "music-video";
const CANARY: &str = "canary-of-the-stores-own-words";

/// How a store answers a look.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Fails,
    Hangs,
    Panics,
}

/// A store that is moody where a health asks it.
#[derive(Clone)]
struct Moody {
    store: MemoryStore,
    mood: Arc<Mutex<Mood>>,
    reached: Arc<AtomicUsize>,
    counted: Arc<AtomicUsize>,
}

impl Moody {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            mood: Arc::new(Mutex::new(Mood::Well)),
            reached: Arc::default(),
            counted: Arc::default(),
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn answer(&self) -> Result<(), StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(()),
            Mood::Fails => Err(StoreError::unavailable(CANARY)),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("{CANARY}"),
        }
    }
}

impl Inbox for Moody {
    fn durability(&self) -> Durability {
        self.store.durability()
    }
    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.store.insert(records).await
    }
}

impl Store for Moody {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        self.store.lease(queue, max, ttl).await
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.store.settle(settlements).await
    }
    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.reached.fetch_add(1, Ordering::Relaxed);
        self.answer().await?;
        self.store.find(queue, key).await
    }
    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.store.purge(retention).await
    }
}

impl Inspect for Moody {
    async fn counts(&self, queue: &Queue) -> Result<Counts, StoreError> {
        self.counted.fetch_add(1, Ordering::Relaxed);
        self.store.counts(queue).await
    }
    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.store.queues().await
    }
    async fn list(&self, queue: &Queue, listing: &Listing) -> Result<Page, StoreError> {
        self.store.list(queue, listing).await
    }
    async fn look(&self, queue: &Queue, id: RecordId) -> Result<Option<Record>, StoreError> {
        self.store.look(queue, id).await
    }
    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Requeued>, StoreError> {
        self.store.requeue(queue, ids).await
    }
    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Deleted>, StoreError> {
        self.store.delete(queue, ids).await
    }
}

fn endpoint(store: &Moody) -> (CallbackService, Worker) {
    let proof = Token::query("token", "a-secret-of-32-characters-or-so");
    Callbacks::<MusicVideo>::new(NAME, proof)
        .store(store.clone())
        .handle(async |_| std::future::pending().await)
        .build()
        .unwrap()
}

async fn insert(store: &Moody, tasks: usize) {
    for task in 0..tasks {
        let body = MusicVideo::succeeded(format!("task-{task}"), "https://example.com").encode();
        let record = NewRecord::new(Queue::events(NAME), format!("task-{task}"), body);
        store.insert(&[record]).await.unwrap();
    }
}

/// The answer to a probe.
async fn probe(health: &Health) -> (StatusCode, serde_json::Value) {
    let request = Request::get("/ready").body(()).unwrap();
    let response = health.service().oneshot(request).await.unwrap();
    let status = response.status();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() < 1024 && !String::from_utf8_lossy(&body).contains(CANARY));
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_probe_tells_what_waits_and_that_all_is_well() {
    let store = Moody::new();
    insert(&store, 3).await;
    let health = Health::new(store).with_endpoint(NAME);
    let (status, body) = probe(&health).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["status"], "ready");
    assert_eq!(body["problems"], serde_json::json!([]));
    let endpoint = &body["endpoints"][0];
    assert_eq!(endpoint["name"], NAME);
    assert_eq!(endpoint["pending"], 3);
    assert_eq!(endpoint["leased"], 0);
    assert!(endpoint["oldest_due_seconds"].is_u64());
}

#[tokio::test]
async fn an_endpoint_is_ready_while_its_worker_runs_and_not_when_it_was_dropped() {
    let store = Moody::new();
    let (service, worker) = endpoint(&store);
    let health = Health::new(store).with_service(&service);
    let (status, body) = probe(&health).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        body["problems"][0]
            .as_str()
            .unwrap()
            .contains("not running yet")
    );

    let running = tokio::spawn(worker.run());
    while !health.check().await.is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(probe(&health).await.0, StatusCode::OK);
    // What the store was asked a moment ago does not hide it.
    running.abort();
    let _ = running.await;
    let (status, body) = probe(&health).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["status"], "unready");
    assert!(
        body["problems"][0]
            .as_str()
            .unwrap()
            .contains("was dropped")
    );
}

#[tokio::test]
async fn a_store_that_fails_hangs_or_panics_is_unready_and_its_words_are_kept_from_strangers() {
    for mood in [Mood::Fails, Mood::Hangs, Mood::Panics] {
        let store = Moody::new();
        store.is(mood);
        for health in [Health::new(store.clone()), Health::of_store(store.clone())] {
            let health = health
                .with_endpoint(NAME)
                .with_timeout(Duration::from_millis(50));
            let (status, body) = probe(&health).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(body["problems"][0].as_str().unwrap().contains("store"));
        }
        store.is(Mood::Well);
        let health = Health::of_store(store.clone()).with_endpoint(NAME);
        let (status, body) = probe(&health).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["endpoints"], serde_json::json!([]), "it cannot count");
    }
}

#[tokio::test]
async fn a_store_that_is_there_again_is_ready_again() {
    let store = Moody::new();
    store.is(Mood::Fails);
    let health = Health::new(store.clone()).with_endpoint(NAME);
    assert!(!health.check().await.is_ready());
    store.is(Mood::Well);
    while !health.check().await.is_ready() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_probes_asks_the_store_once_a_second_and_counts_less_often() {
    let store = Moody::new();
    let health = Health::new(store.clone()).with_endpoint(NAME);
    for second in 1..=10 {
        let probes = (0..500).map(|_| {
            let health = health.clone();
            tokio::spawn(async move { health.check().await.is_ready() })
        });
        for probe in probes.collect::<Vec<_>>() {
            assert!(probe.await.unwrap());
        }
        assert_eq!(store.reached.load(Ordering::Relaxed), second);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // Three kinds of queues, once.
    assert_eq!(store.counted.load(Ordering::Relaxed), 3);
    tokio::time::advance(Duration::from_secs(15)).await;
    health.check().await;
    assert_eq!(store.counted.load(Ordering::Relaxed), 6);
}

#[tokio::test(start_paused = true)]
async fn probes_that_hang_up_ask_no_more_often_than_those_that_stay() {
    let store = Moody::new();
    store.is(Mood::Hangs);
    let health = Health::new(store.clone()).with_endpoint(NAME);
    for _ in 0..1000 {
        tokio::select! {
            biased;
            _ = health.check() => panic!("the store hangs"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    assert!(store.reached.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn an_inbox_is_too_deep_only_for_who_said_how_deep_it_may_be() {
    let hands = tower_callback::Clock::manual();
    let mut store = Moody::new();
    store.store = MemoryStore::with_clock(&hands);
    insert(&store, 5).await;
    hands.advance(Duration::from_secs(600));
    let health = || Health::new(store.clone()).with_endpoint(NAME);
    assert!(health().check().await.is_ready());
    assert!(health().with_max_pending(5).check().await.is_ready());
    let deep = health().with_max_pending(4).check().await;
    assert!(deep.problems[0].contains("5 events"), "{deep:?}");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert!(
        health()
            .with_max_oldest(minutes(10))
            .check()
            .await
            .is_ready()
    );
    let old = health().with_max_oldest(minutes(9)).check().await;
    assert!(old.problems[0].contains("600 s"), "{old:?}");
}

#[tokio::test]
async fn a_health_beside_the_worker_looks_by_itself_and_ends_with_it() {
    let store = Moody::new();
    let (service, worker) = endpoint(&store);
    let health = Health::new(store.clone()).with_service(&service);
    let worker = worker.beside(health.run());
    let looked = async {
        while store.counted.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
    };
    worker.run_until(looked).await;
    assert_eq!(
        Arc::strong_count(&store.counted),
        2,
        "its own, and the service's store"
    );
    drop(service);
}

#[tokio::test]
async fn a_future_beside_the_worker_that_ends_early_changes_nothing() {
    let store = Moody::new();
    let (service, worker) = endpoint(&store);
    let worker = worker.beside(async {});
    let running = tokio::spawn(worker.run());
    while service.readiness().await.is_err() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished());
    running.abort();
}

#[tokio::test]
async fn head_has_no_body_and_nothing_else_is_allowed() {
    let health = Health::new(Moody::new()).with_endpoint(NAME);
    let head = Request::head("/ready").body(()).unwrap();
    let response = health.service().oneshot(head).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty());
    let post = Request::post("/ready").body(()).unwrap();
    let response = health.service().oneshot(post).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
}
