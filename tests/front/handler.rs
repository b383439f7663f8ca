//! From a POST on a socket to the handler: what it fails at, and what happens when nobody works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc, oneshot};
use tower_callback::{
    CallbackService, Callbacks, Clock, Delivery, GiveUp, HandlerError, MemoryStore, MusicVideo,
    RetryPolicy, Token, Worker,
    clock::ManualClock,
    music_video::Outcome,
    store::{Counts, Inspect, Queue},
};

use crate::{
    NAME, serve_hyper,
    support::{FAILURE, SECRET, SUCCESS, Server, post, success, url},
};

/// An endpoint whose handler and worker run, on a clock that is turned by hand.
struct Whole {
    server: Server,
    service: CallbackService,
    store: MemoryStore,
    hands: ManualClock,
    stop: oneshot::Sender<()>,
    worker: tokio::task::JoinHandle<()>,
}

fn built<F, Fut>(handle: F) -> (CallbackService, Worker, MemoryStore, ManualClock)
where
    F: Fn(Delivery<MusicVideo>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let hands = Clock::manual();
    let store = MemoryStore::with_clock(&hands);
    let (service, worker) = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .clock(hands.clock())
        .handler_timeout(Duration::from_secs(3600))
        .retry(RetryPolicy::default())
        .handle(handle)
        .build()
        .unwrap();
    (service, worker, store, hands)
}

async fn whole<F, Fut>(handle: F) -> Whole
where
    F: Fn(Delivery<MusicVideo>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let (service, worker, store, hands) = built(handle);
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    Whole {
        server: serve_hyper(service.clone()).await,
        service,
        store,
        hands,
        stop,
        worker,
    }
}

impl Whole {
    async fn send(&self, body: &str) -> u16 {
        post(self.server.addr, &url(), body).await.status
    }

    async fn counts(&self) -> Counts {
        self.store.counts(&Queue::events(NAME)).await.unwrap()
    }

    /// Turns the clock, a little at a time, until the events are as they should be.
    async fn until(&self, settled: impl Fn(Counts) -> bool) {
        tokio::time::timeout(Duration::from_secs(30), async {
            while !settled(self.counts().await) {
                self.hands.advance(Duration::from_secs(600));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("it comes to that");
    }
}

#[tokio::test]
async fn a_callback_becomes_a_typed_event_in_the_handler_once() {
    let (seen, mut handled) = mpsc::unbounded_channel();
    let whole = whole(move |delivery: Delivery<MusicVideo>| {
        let seen = seen.clone();
        async move {
            seen.send((delivery.event.clone(), delivery.attempt()))?;
            Ok(())
        }
    })
    .await;
    for body in [FAILURE, FAILURE, SUCCESS, SUCCESS, FAILURE] {
        assert_eq!(whole.send(body).await, 200);
    }
    assert_eq!(whole.send(&success("task-2")).await, 200);
    whole
        .until(|counts| counts.done == 2 && counts.pending + counts.leased == 0)
        .await;
    whole.stop.send(()).unwrap();
    whole.worker.await.unwrap();

    let mut of_task_1 = Vec::new();
    while let Ok((event, attempt)) = handled.try_recv() {
        assert_eq!(attempt, 1);
        if event.task_id == "task-1" {
            of_task_1.push(matches!(event.outcome, Outcome::Succeeded { .. }));
        }
    }
    assert!(
        of_task_1 == [true] || of_task_1 == [false, true],
        "a failure at most once, a success once, and last: {of_task_1:?}"
    );
}

#[tokio::test]
async fn a_handler_that_panics_at_first_gets_the_event_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let whole = whole({
        let attempts = Arc::clone(&attempts);
        move |delivery| {
            attempts.fetch_add(1, Ordering::Relaxed);
            assert!(delivery.attempt() > 2, "not yet");
            async { Ok(()) }
        }
    })
    .await;
    assert_eq!(whole.send(SUCCESS).await, 200);
    whole.until(|counts| counts.done == 1).await;
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_handler_that_hangs_is_stopped_by_its_timeout_and_gets_the_event_again() {
    let whole = whole(|delivery| async move {
        if delivery.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        Ok(())
    })
    .await;
    assert_eq!(whole.send(SUCCESS).await, 200);
    whole.until(|counts| counts.done == 1).await;
}

#[tokio::test]
async fn a_handler_that_fails_for_ever_ends_as_a_dead_letter() {
    let whole = whole(|_| async { Err("the disk is made of cheese")? }).await;
    assert_eq!(whole.send(SUCCESS).await, 200);
    whole.until(|counts| counts.dead == 1).await;
    assert_eq!(whole.send(SUCCESS).await, 200, "a repeat is still a repeat");
    assert_eq!(whole.counts().await.dead, 1);
}

#[tokio::test]
async fn a_handler_that_gives_up_is_not_asked_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let whole = whole({
        let attempts = Arc::clone(&attempts);
        move |_| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async { Err(GiveUp::new("no such order"))? }
        }
    })
    .await;
    assert_eq!(whole.send(SUCCESS).await, 200);
    whole.until(|counts| counts.dead == 1).await;
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_slow_handler_does_not_keep_callbacks_waiting() {
    let gate = Arc::new(Notify::new());
    let whole = whole({
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Ok(())
            }
        }
    })
    .await;
    for n in 0..100 {
        assert_eq!(whole.send(&success(&format!("task-{n}"))).await, 200);
    }
    assert_eq!(whole.counts().await.done, 0);
}

#[tokio::test]
async fn a_worker_that_was_dropped_makes_the_endpoint_not_ready() {
    let (service, worker, ..) = built(|_| async { Ok(()) });
    drop(worker);
    let problem = service.readiness().await.unwrap_err().to_string();
    assert!(
        problem.contains("dropped") && problem.contains(NAME),
        "{problem}"
    );
    let server = serve_hyper(service).await;
    let status = post(server.addr, &url(), SUCCESS).await.status;
    assert_eq!(
        status, 200,
        "what is stored can still be handled by the next process"
    );
}

#[tokio::test]
async fn a_worker_makes_the_endpoint_ready_only_when_it_runs() {
    let (service, worker, ..) = built(|_| async { Ok(()) });
    let problem = service.readiness().await.unwrap_err().to_string();
    assert!(problem.contains("not running yet"), "{problem}");
    let running = worker.run_until(async {
        assert_eq!(service.readiness().await, Ok(()));
    });
    running.await;
}

#[tokio::test]
async fn a_worker_that_ended_makes_the_endpoint_not_ready() {
    let whole = whole(|_| async { Ok(()) }).await;
    whole.stop.send(()).unwrap();
    whole.worker.await.unwrap();
    assert!(whole.service.readiness().await.is_err());
}

#[tokio::test]
async fn a_front_alone_is_ready() {
    let rig = crate::rig().await;
    assert_eq!(rig.service.readiness().await, Ok(()));
}
