//! Handlers that are services: readiness before leasing.

use std::{
    future::{Ready, ready},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll},
};

use tower::{Service, ServiceBuilder, limit::ConcurrencyLimitLayer, service_fn};

use super::*;

#[tokio::test]
async fn under_a_concurrency_limit_no_more_is_leased_than_the_service_has_room_for() {
    let bench = Bench::new();
    for n in 0..6 {
        bench.insert(&n.to_string()).await;
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(2))
        .service(service_fn(move |delivery: Delivery<Word>| {
            let (end, ended) = oneshot::channel::<Result<(), &'static str>>();
            let _ = tell.send((delivery, end));
            async move { ended.await.unwrap_or(Err("dropped")) }
        }));
    let running = bench.run(AnyHandler::from_service(service));
    bench.turn(MINUTE * 5, SECOND * 5).await;
    assert_eq!(told.len(), 2);
    assert_eq!(
        bench.store.saw().leases,
        [(2, 2)],
        "the rest stays free for other workers"
    );
    for done in 1..=6 {
        let (_, end) = told.recv().await.unwrap();
        end.send(Ok(())).unwrap();
        bench
            .turn_until(SECOND, || bench.actions().len() == done)
            .await;
    }
    assert_eq!(bench.actions(), vec![Action::Done; 6]);
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_idle_worker_holds_no_permit_of_a_concurrency_limit() {
    let bench = Bench::new();
    let mut shared = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(|_: Delivery<Word>| async {
            Ok::<_, HandlerError>(())
        }));
    let service = ServiceBuilder::new()
        .map_err(|error: HandlerError| error.to_string())
        .service(shared.clone());
    let running = bench.run(AnyHandler::from_service(service));
    bench.turn(SECOND * 10, SECOND).await;
    assert!(bench.store.saw().leases.len() > 5);
    let ready = std::future::poll_fn(|cx| Service::<Delivery<Word>>::poll_ready(&mut shared, cx));
    tokio::select! {
        biased;
        ready = ready => ready.unwrap(),
        () = calm() => panic!("the permit is held"),
    }
    running.stop(&bench).await;
}

/// Is ready only after it was polled, and a clone has to be polled again.
#[derive(Default)]
struct ResetsOnClone {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for ResetsOnClone {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl Service<Delivery<Word>> for ResetsOnClone {
    type Response = ();
    type Error = String;
    type Future = Ready<Result<(), String>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if !self.ready {
            self.ready = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Delivery<Word>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(()))
    }
}

#[tokio::test]
async fn the_clone_that_is_called_is_the_one_that_was_ready() {
    let bench = Bench::new();
    for n in 0..20 {
        bench.insert(&n.to_string()).await;
    }
    let service = ResetsOnClone::default();
    let calls = Arc::clone(&service.calls);
    let running = bench.run(AnyHandler::from_service(service));
    bench
        .turn_until(SECOND, || bench.actions().len() == 20)
        .await;
    assert_eq!(bench.actions(), vec![Action::Done; 20]);
    assert_eq!(calls.load(Ordering::Relaxed), 20);
    running.stop(&bench).await;
}

/// Broken once it has failed, until it is cloned.
#[derive(Clone)]
struct Failing {
    down: Arc<AtomicBool>,
    panics: bool,
    polls: Arc<AtomicUsize>,
}

impl Service<Delivery<Word>> for Failing {
    type Response = ();
    type Error = String;
    type Future = Ready<Result<(), String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            assert!(!self.panics, "not today");
            return Poll::Ready(Err("no backend".to_owned()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Delivery<Word>) -> Self::Future {
        ready(Ok(()))
    }
}

#[tokio::test]
async fn a_service_that_fails_to_be_ready_is_told_of_and_tried_again_without_leasing() {
    for panics in [false, true] {
        let traces = traces();
        let bench = Bench::new();
        bench.insert("word").await;
        let service = Failing {
            down: Arc::new(AtomicBool::new(true)),
            panics,
            polls: Arc::default(),
        };
        let running = bench.run(AnyHandler::from_service(service.clone()));
        bench.turn(MINUTE, SECOND / 10).await;
        let polls = service.polls.load(Ordering::Relaxed);
        assert!((5..50).contains(&polls), "backed off: {polls}");
        assert_eq!(bench.store.saw().leases, [], "no attempt is wasted");
        assert_eq!(traces.count("service is not ready"), 1, "{}", traces.text());
        service.down.store(false, Ordering::Relaxed);
        bench
            .turn_until(SECOND, || !bench.actions().is_empty())
            .await;
        bench.until_state("word", State::Done).await;
        running.stop(&bench).await;
    }
}
