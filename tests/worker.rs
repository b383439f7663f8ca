//! From a callback at the service to the handler, through the public builder alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::sync::mpsc;
use tower::{ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_callback::{
    CallbackService, Callbacks, Clock, Delivery, Event, EventKey, GiveUp, Handler, HandlerError,
    MemoryStore, RetryPolicy, Token,
    event::{Callback, InvalidKey, ParseError, Source},
    store::{Inspect, Queue, State, Store},
};

const SECRET: &str = "a-secret-of-32-characters-or-so";

/// A task's outcome: the body is `task:outcome`, and a success outranks a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    task: String,
    succeeded: bool,
}

impl Event for Outcome {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(callback.body()).map_err(ParseError::syntax)?;
        let (task, outcome) = text
            .split_once(':')
            .ok_or_else(|| ParseError::syntax("no outcome"))?;
        Ok(Self {
            task: task.to_owned(),
            succeeded: outcome == "ok",
        })
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        Ok(EventKey::new(&self.task)?.with_rank(self.succeeded.into()))
    }
}

fn endpoint(name: &str) -> Callbacks<Outcome> {
    Callbacks::new(name, Token::query("token", SECRET))
}

async fn post(service: &CallbackService, body: impl Into<String>) {
    let request = Request::post(format!("/?token={SECRET}"))
        .body(Full::new(bytes::Bytes::from(body.into())))
        .unwrap();
    let answer = service.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Runs the worker until the list has as many as asked.
async fn until_seen<T: Send>(
    worker: tower_callback::Worker,
    told: &mut mpsc::UnboundedReceiver<T>,
    count: usize,
) -> Vec<T> {
    let mut seen = Vec::new();
    let enough = async {
        while seen.len() < count {
            seen.push(told.recv().await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), worker.run_until(enough))
        .await
        .expect("the worker handles what there is, and ends");
    seen
}

#[tokio::test]
async fn what_the_service_received_reaches_a_closure_with_what_the_proof_said() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let store = MemoryStore::new();
    let (service, worker) = endpoint("outcomes")
        .store(store.clone())
        .handle(move |delivery| {
            let tell = tell.clone();
            async move {
                let facts = (
                    delivery.key().to_owned(),
                    delivery.rank(),
                    delivery.source(),
                );
                tell.send((delivery.event.clone(), facts, delivery.body().clone()))?;
                Ok(())
            }
        })
        .build()
        .unwrap();
    post(&service, "task-1:ok").await;
    post(&service, "task-1:ok").await;
    let seen = until_seen(worker, &mut told, 1).await;
    let event = Outcome {
        task: "task-1".to_owned(),
        succeeded: true,
    };
    let facts = ("task-1".to_owned(), 1, Source::Callback);
    assert_eq!(seen, [(event, facts, "task-1:ok".into())]);
    let found = store.find(&Queue::events("outcomes"), b"task-1").await;
    assert_eq!(found.unwrap().unwrap().state, State::Done);
}

#[tokio::test]
async fn a_handler_with_a_name_and_a_tower_service_are_handlers() {
    struct Telling(mpsc::UnboundedSender<Outcome>);
    impl Handler<Outcome> for Telling {
        async fn handle(&self, delivery: Delivery<Outcome>) -> Result<(), HandlerError> {
            Ok(self.0.send(delivery.event)?)
        }
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn({
            let tell = tell.clone();
            move |delivery: Delivery<Outcome>| {
                let sent = tell.send(delivery.event);
                async move { sent }
            }
        }));
    let store = MemoryStore::new();
    let (first, worker) = endpoint("first")
        .store(store.clone())
        .handler(Arc::new(Telling(tell)))
        .build()
        .unwrap();
    let (second, other) = endpoint("second")
        .store(store.clone())
        .handle_service(service)
        .build()
        .unwrap();
    post(&first, "task-1:ok").await;
    post(&second, "task-1:ok").await;
    post(&second, "task-2:ok").await;
    let seen = until_seen(worker.with(other), &mut told, 3).await;
    let count = |task| seen.iter().filter(|event| event.task == task).count();
    assert_eq!((count("task-1"), count("task-2")), (2, 1));
}

#[tokio::test]
async fn a_worker_of_another_process_finds_by_polling_what_a_front_alone_stored() {
    let store = MemoryStore::new();
    let service = endpoint("outcomes")
        .store(store.clone())
        .build_front()
        .unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = endpoint("outcomes")
        .store(store)
        .idle_poll(Duration::from_millis(5))
        .handle(move |delivery| {
            let sent = tell.send(delivery.event);
            async { Ok(sent?) }
        })
        .build_worker()
        .unwrap();
    let (seen, ()) = tokio::join!(until_seen(worker, &mut told, 1), async {
        // The worker has looked before, and found nothing.
        tokio::task::yield_now().await;
        post(&service, "task-1:ok").await;
    });
    assert_eq!(seen[0].task, "task-1");
}

#[test]
fn a_wrong_setting_is_an_error_that_names_it() {
    let wrong = |set: fn(Callbacks<Outcome>) -> Callbacks<Outcome>| {
        let built = set(endpoint("outcomes"))
            .store(MemoryStore::new())
            .handle(|_| async { Ok(()) })
            .build_worker();
        built.unwrap_err().setting()
    };
    assert_eq!(wrong(|c| c.concurrency(0)), "concurrency");
    assert_eq!(
        wrong(|c| c.handler_timeout(Duration::ZERO)),
        "handler_timeout"
    );
    assert_eq!(wrong(|c| c.lease_ttl(Duration::ZERO)), "lease_ttl");
    assert_eq!(wrong(|c| c.idle_poll(Duration::ZERO)), "idle_poll");
    assert_eq!(wrong(|c| c.shutdown_grace(Duration::MAX)), "shutdown_grace");
    assert_eq!(wrong(|c| c.suspect_limit(0)), "suspect_limit");
    let never = RetryPolicy::default().with_max_delay(Duration::ZERO);
    let built = endpoint("outcomes")
        .store(MemoryStore::new())
        .retry(never)
        .handle(|_| async { Ok(()) })
        .build_worker();
    assert_eq!(built.unwrap_err().setting(), "retry");
}

/// What the handlers of one task saw.
#[derive(Default)]
struct Task {
    running: AtomicBool,
    succeeded: AtomicBool,
    oks: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_failures_panics_and_two_workers_every_event_is_handled_and_success_is_last() {
    const TASKS: usize = 300;
    let store = MemoryStore::new();
    let tasks: Arc<Mutex<HashMap<String, Arc<Task>>>> = Arc::default();
    let build = || {
        let tasks = Arc::clone(&tasks);
        endpoint("outcomes")
            .store(store.clone())
            // An hour passes in less than two seconds, and a lease lasts longer than any pause of
            // a busy machine.
            .clock(Clock::scaled(2000))
            .lease_ttl(Duration::from_secs(24 * 60 * 60))
            .concurrency(8)
            .handle(move |delivery| {
                let name = delivery.event.task.clone();
                let task = Arc::clone(tasks.lock().unwrap().entry(name).or_default());
                async move {
                    assert!(!task.running.swap(true, Ordering::SeqCst), "two at once");
                    tokio::task::yield_now().await;
                    let done = task.succeeded.load(Ordering::SeqCst);
                    assert!(!done, "after the success of {}", delivery.event.task);
                    task.running.store(false, Ordering::SeqCst);
                    let number: usize = delivery.event.task.parse()?;
                    match (number + delivery.attempt() as usize) % 4 {
                        0 => return Err("try again".into()),
                        1 if delivery.attempt() < 3 => panic!("fell over"),
                        2 if !delivery.event.succeeded => {
                            return Err(GiveUp::new("a failure that nobody wants").into());
                        }
                        _ => {}
                    }
                    task.succeeded
                        .store(delivery.event.succeeded, Ordering::SeqCst);
                    task.oks.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            })
    };
    let (service, worker) = build().build().unwrap();
    let other = build().build_worker().unwrap();
    let stop = Arc::new(tokio::sync::Notify::new());
    let workers = [worker, other].map(|worker| {
        let stop = Arc::clone(&stop);
        tokio::spawn(worker.run_until(async move { stop.notified().await }))
    });
    for number in 0..TASKS {
        if number % 3 == 0 {
            post(&service, format!("{number}:failed")).await;
        }
        post(&service, format!("{number}:ok")).await;
        post(&service, format!("{number}:failed")).await;
    }
    let queue = Queue::events("outcomes");
    let all_done = async {
        loop {
            let counts = store.counts(&queue).await.unwrap();
            if (counts.done, counts.pending, counts.leased) == (TASKS as u64, 0, 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all_done)
        .await
        .expect("every success is handled");
    stop.notify_waiters();
    for worker in workers {
        worker.await.unwrap();
    }
    for (name, task) in tasks.lock().unwrap().iter() {
        assert!(task.succeeded.load(Ordering::SeqCst), "{name}");
        // A failure that came first may have been handled, and the success once.
        assert!((1..=2).contains(&task.oks.load(Ordering::SeqCst)), "{name}");
    }
}

#[tokio::test]
async fn a_service_whose_worker_is_gone_is_not_ready() {
    let build = || {
        let endpoint = endpoint("outcomes").store(MemoryStore::new());
        endpoint.handle(|_| async { Ok(()) }).build().unwrap()
    };
    let (service, worker) = build();
    drop(worker);
    service.readiness().await.unwrap_err();

    let (service, worker) = build();
    worker.run_until(service_is_ready(&service)).await;
    service.readiness().await.unwrap_err();
}

async fn service_is_ready(service: &CallbackService) {
    service.readiness().await.unwrap();
}
