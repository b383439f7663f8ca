//! A callback does not wait behind the app, and does not hold the app's place.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::{Semaphore, mpsc};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};

use crate::{
    rig,
    support::{self, PATH, SUCCESS, post, serve_hyper, url},
};

type Body = Full<Bytes>;

fn callback() -> Request<Body> {
    Request::post(url()).body(Full::from(SUCCESS)).unwrap()
}

fn foreign() -> Request<Body> {
    Request::post("/other").body(Full::from("x")).unwrap()
}

#[tokio::test]
async fn a_callback_is_received_while_the_app_is_never_ready() {
    #[derive(Clone)]
    struct NeverReady(mpsc::UnboundedSender<()>);
    impl<B> Service<Request<B>> for NeverReady {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.0.send(()).unwrap();
            Poll::Pending
        }
        fn call(&mut self, _: Request<B>) -> Self::Future {
            panic!("called without being ready")
        }
    }
    let rig = rig().await;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let app = NeverReady(asked);
    let server = serve_hyper(rig.service.layer(PATH).unwrap().layer(app)).await;
    let addr = server.addr;
    let waiting = tokio::spawn(async move { post(addr, "/other", "x").await });
    was_asked.recv().await.unwrap();
    assert_eq!(post(addr, &url(), SUCCESS).await.status, 200);
    assert!(
        !waiting.is_finished(),
        "a foreign request waits for the app"
    );
    waiting.abort();
}

#[tokio::test]
async fn a_callback_gives_the_permit_back_that_the_app_had_for_it() {
    let rig = rig().await;
    let limited = ConcurrencyLimitLayer::new(1).layer(service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new("app".to_owned()))
    }));
    let mut idle = rig.service.layer(PATH).unwrap().layer(limited);
    let mut busy = idle.clone();
    // The first connection makes the app ready, gets a callback instead, and then idles.
    idle.ready().await.unwrap();
    idle.call(callback()).await.unwrap();
    // Readiness may be asked for again by a server, but nobody holds the permit meanwhile.
    let answer = busy.ready().await.unwrap().call(foreign());
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
    assert!(
        answer.is_ok(),
        "the only permit stayed with an idle connection"
    );
}

#[tokio::test]
async fn a_foreign_request_waits_for_the_app_in_its_own_future() {
    let gate = Arc::new(Semaphore::new(0));
    let app = ConcurrencyLimitLayer::new(1).layer(service_fn({
        let gate = Arc::clone(&gate);
        move |_: Request<Body>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(Response::new("app".to_owned()))
            }
        }
    }));
    let rig = rig().await;
    let mut service = rig.service.layer(PATH).unwrap().layer(app);
    let first = tokio::spawn(service.ready().await.unwrap().call(foreign()));
    let second = tokio::spawn(service.ready().await.unwrap().call(foreign()));
    service
        .ready()
        .await
        .unwrap()
        .call(callback())
        .await
        .unwrap();
    assert_eq!(rig.pending().await, 1, "the callback overtook both");
    gate.add_permits(2);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

/// Panics when it is called without having been made ready itself; a clone is not ready.
#[derive(Default)]
struct Probe {
    ready: bool,
    calls: Arc<AtomicUsize>,
    clones: Arc<AtomicUsize>,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
            clones: Arc::clone(&self.clones),
        }
    }
}

impl Service<Request<Body>> for Probe {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new("app".to_owned())))
    }
}

#[tokio::test]
async fn only_an_app_that_was_made_ready_is_called() {
    let rig = rig().await;
    let probe = Probe::default();
    let calls = Arc::clone(&probe.calls);
    let mut service = rig.service.layer(PATH).unwrap().layer(probe);
    for round in 0..3 {
        service
            .ready()
            .await
            .unwrap()
            .call(foreign())
            .await
            .unwrap();
        service
            .ready()
            .await
            .unwrap()
            .call(callback())
            .await
            .unwrap();
        service.ready().await.unwrap();
        let mut clone = service.clone();
        clone.ready().await.unwrap().call(foreign()).await.unwrap();
        service.call(foreign()).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 3 * (round + 1));
    }
}

#[tokio::test]
async fn a_foreign_request_goes_to_the_very_app_that_was_made_ready() {
    let rig = rig().await;
    let probe = Probe::default();
    let (calls, clones) = (Arc::clone(&probe.calls), Arc::clone(&probe.clones));
    let mut service = rig.service.layer(PATH).unwrap().layer(probe);
    for _ in 0..3 {
        let ready = service.ready().await.unwrap();
        ready.call(foreign()).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert_eq!(clones.load(Ordering::Relaxed), 0, "none had to be made");
}

#[tokio::test]
async fn an_app_that_fails_to_get_ready_fails_foreign_requests_only() {
    #[derive(Clone)]
    struct Broken;
    impl Service<Request<Body>> for Broken {
        type Response = Response<String>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Self::Response, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            panic!("called without being ready")
        }
    }
    let rig = rig().await;
    let mut service = rig.service.layer(PATH).unwrap().layer(Broken);
    service
        .ready()
        .await
        .unwrap()
        .call(callback())
        .await
        .unwrap();
    assert_eq!(rig.pending().await, 1);
    let error = service
        .ready()
        .await
        .unwrap()
        .call(foreign())
        .await
        .unwrap_err();
    assert_eq!(error, "broken");
}

#[tokio::test]
async fn an_answer_ends_with_its_last_byte_and_an_empty_one_at_once() {
    use http_body::Body as _;
    use http_body_util::BodyExt;
    let rig = rig().await;
    let app = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let app = rig.service.layer(PATH).unwrap().layer(app);
    let empty = app.clone().oneshot(foreign()).await.unwrap();
    assert!(empty.body().is_end_stream(), "the app's");
    let mut ours = app.oneshot(callback()).await.unwrap().into_body();
    assert!(!ours.is_end_stream());
    ours.frame().await.unwrap().unwrap();
    assert!(ours.is_end_stream(), "our reply");
}

#[tokio::test]
async fn a_foreign_request_reaches_the_app_byte_for_byte() {
    use http_body_util::BodyExt;
    let rig = rig().await;
    let app = service_fn(async |request: Request<hyper::body::Incoming>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let seen = format!("{} {} {:?}", head.method, head.uri, head.headers["x-own"]);
        Ok::<_, hyper::Error>(Response::new(format!("{seen} {}", body.escape_ascii())))
    });
    let server = serve_hyper(rig.service.layer(PATH).unwrap().layer(app)).await;
    let target = format!("{PATH}/deeper?token=x&y=%00");
    let headers = [("x-own", "kept")];
    let answer = support::request(server.addr, "PATCH", &target, &headers, b"\x00\xff").await;
    assert_eq!(answer.body, format!("PATCH {target} \"kept\" \\x00\\xff"));
}
