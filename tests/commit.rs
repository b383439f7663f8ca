//! The group commit, seen from outside: what a durable store is asked, and what callers are told.
//!
//! The store here is scripted: each call waits for a permit, so that a test decides when a batch
//! ends. The parts of the commit have tests of their own beside them, `cargo test --lib store::commit`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{sync::Semaphore, task::JoinHandle};
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, Clock, MemoryStore, MusicVideo, Token,
    store::{Durability, Inbox, Inserted, NewRecord, StoreError},
};

const SECRET: &str = "a-secret-of-32-characters-or-so";

/// A durable store, as far as the commit can tell, whose every call needs a permit.
#[derive(Clone)]
struct Gate {
    store: MemoryStore,
    permits: Arc<Semaphore>,
    /// The sizes of the batches that were begun.
    begun: Arc<Mutex<Vec<usize>>>,
    at_once: usize,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// A key that the store can never take.
    rejects: Option<&'static str>,
    panics: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            permits: Arc::new(Semaphore::new(0)),
            begun: Arc::default(),
            at_once: 1,
            running: Arc::default(),
            most: Arc::default(),
            rejects: None,
            panics: Arc::default(),
        }
    }

    fn open(&self, calls: usize) {
        self.permits.add_permits(calls);
    }

    fn begun(&self) -> Vec<usize> {
        self.begun.lock().unwrap().clone()
    }

    async fn until_begun(&self, calls: usize) {
        until(|| self.begun().len() >= calls).await;
    }

    fn service(&self) -> CallbackService {
        self.service_on(Clock::system())
    }

    fn service_on(&self, clock: Clock) -> CallbackService {
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .store(self.clone())
            .clock(clock)
            .build_front()
            .unwrap()
    }
}

impl Inbox for Gate {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.begun.lock().unwrap().push(records.len());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        // Also when the call is dropped while it waits.
        let _running = Running(&self.running);
        self.permits.acquire().await.unwrap().forget();
        if self.panics.load(Ordering::SeqCst) > 0 {
            self.panics.fetch_sub(1, Ordering::SeqCst);
            panic!("the store was told to panic");
        }
        let culprit = |record: &NewRecord| self.rejects.is_some_and(|key| record.key == key);
        if records.iter().any(culprit) {
            return Err(StoreError::rejected("this one never"));
        }
        self.store.insert(records).await
    }

    fn commits_at_once(&self) -> usize {
        self.at_once
    }
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One callback for a task, as a server would call the service.
fn call(service: &CallbackService, task: usize) -> JoinHandle<u16> {
    let body = format!(r#"{{"code":500,"data":{{"task_id":"task-{task}"}}}}"#);
    let request = Request::post(format!("/?token={SECRET}"))
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let service = service.clone();
    tokio::spawn(async move { service.oneshot(request).await.unwrap().status().as_u16() })
}

async fn answers(calls: Vec<JoinHandle<u16>>) -> Vec<u16> {
    let mut answers = Vec::new();
    for call in calls {
        let answer = tokio::time::timeout(Duration::from_secs(30), call).await;
        answers.push(answer.expect("nobody waits for ever").unwrap());
    }
    answers
}

async fn until(reached: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("it comes to that");
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_comes_while_a_batch_is_written_becomes_the_next_batch() {
    let gate = Gate::new();
    let service = gate.service();
    let mut calls = vec![call(&service, 0)];
    gate.until_begun(1).await;
    calls.extend((1..=100).map(|task| call(&service, task)));
    settle().await;
    assert_eq!(gate.begun(), [1], "the first does not wait for company");
    gate.open(2);
    assert_eq!(answers(calls).await, [200; 101]);
    assert_eq!(gate.begun(), [1, 100]);
}

#[tokio::test]
async fn nobody_is_answered_before_his_batch_is_durable() {
    let gate = Gate::new();
    let service = gate.service();
    let calls: Vec<_> = (0..10).map(|task| call(&service, task)).collect();
    gate.until_begun(1).await;
    settle().await;
    assert!(calls.iter().all(|call| !call.is_finished()));
    gate.open(2);
    assert_eq!(answers(calls).await, [200; 10]);
}

#[tokio::test]
async fn a_batch_that_has_begun_is_written_though_every_caller_hangs_up() {
    let gate = Gate::new();
    let service = gate.service();
    let first = call(&service, 0);
    gate.until_begun(1).await;
    let others: Vec<_> = (1..=100).map(|task| call(&service, task)).collect();
    settle().await;
    gate.open(1);
    gate.until_begun(2).await;
    first.abort();
    others.iter().for_each(JoinHandle::abort);
    settle().await;
    gate.open(1);
    until(|| gate.running.load(Ordering::SeqCst) == 0).await;
    // Whoever repeats one of them is told that it is there.
    gate.open(1000);
    let found = answers((0..=100).map(|task| call(&service, task)).collect()).await;
    assert_eq!(found, [200; 101]);
    let queue = tower_callback::store::Queue::events("music-video");
    let counts = tower_callback::store::Inspect::counts(&gate.store, &queue).await;
    assert_eq!(counts.unwrap().pending, 101);
}

#[tokio::test]
async fn who_hangs_up_before_his_batch_began_is_taken_out() {
    let gate = Gate::new();
    let service = gate.service();
    let mut calls = vec![call(&service, 0)];
    gate.until_begun(1).await;
    let leaving: Vec<_> = (1..=50).map(|task| call(&service, task)).collect();
    let staying = (51..=100).map(|task| call(&service, task));
    calls.extend(staying);
    settle().await;
    leaving.iter().for_each(JoinHandle::abort);
    settle().await;
    gate.open(2);
    assert_eq!(answers(calls).await, [200; 51]);
    assert_eq!(gate.begun(), [1, 50]);
}

#[tokio::test]
async fn a_record_that_is_rejected_does_not_fail_its_neighbours() {
    let gate = Gate {
        rejects: Some("task-7"),
        ..Gate::new()
    };
    gate.open(1000);
    let service = gate.service();
    let statuses = answers((0..20).map(|task| call(&service, task)).collect()).await;
    for (task, status) in statuses.into_iter().enumerate() {
        assert_eq!(status, if task == 7 { 503 } else { 200 }, "task {task}");
    }
}

#[tokio::test]
async fn a_store_that_panics_fails_that_batch_only() {
    let gate = Gate::new();
    gate.panics.store(1, Ordering::SeqCst);
    gate.open(1000);
    let service = gate.service();
    assert_eq!(answers(vec![call(&service, 0)]).await, [503]);
    assert_eq!(answers(vec![call(&service, 0)]).await, [200]);
}

#[tokio::test]
async fn a_store_that_hangs_frees_the_way_at_the_deadline() {
    let gate = Gate::new();
    // Ten seconds of the endpoint's clock are ten milliseconds of ours.
    let service = gate.service_on(Clock::scaled(1000));
    let hanging = (0..10).map(|task| call(&service, task)).collect();
    assert_eq!(answers(hanging).await, [503; 10]);
    until(|| gate.running.load(Ordering::SeqCst) == 0).await;
    gate.open(1000);
    assert_eq!(answers(vec![call(&gate.service(), 99)]).await, [200]);
}

#[tokio::test]
async fn as_many_batches_are_under_way_as_the_store_allows() {
    let gate = Gate {
        at_once: 3,
        ..Gate::new()
    };
    let service = gate.service();
    let mut calls = Vec::new();
    for task in 0..50 {
        calls.push(call(&service, task));
        settle().await;
    }
    assert_eq!(gate.begun(), [1, 1, 1]);
    gate.open(1000);
    assert_eq!(answers(calls).await, [200; 50]);
    assert_eq!(gate.most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_runtime_that_ends_in_the_middle_leaves_nobody_waiting_on_another_one() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let gate = Gate::new();
    let service = gate.service();
    let (dying, living) = (runtime(), runtime());
    dying.block_on(async {
        drop(call(&service, 0));
        gate.until_begun(1).await;
    });
    let waiting = living.block_on(async {
        let waiting: Vec<_> = (1..10).map(|task| call(&service, task)).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        waiting
    });
    dying.shutdown_background();
    gate.open(1000);
    let answers = living.block_on(answers(waiting));
    assert_eq!(answers, [200; 9]);
}
