//! Foreign traffic pays nothing, and strangers cost nothing: counted, not promised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::runtime::Builder;
use tower::{Layer, Service, ServiceExt};
use tower_callback::{
    CallbackLayer, CallbackService, Callbacks, MemoryStore, MusicVideo, Token,
    store::{Inspect, Queue},
};

const SECRET: &str = "a-secret-of-32-characters-or-so";

fn endpoint() -> (CallbackService, MemoryStore) {
    let store = MemoryStore::new();
    let service = Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(store.clone())
        .build_front()
        .unwrap();
    (service, store)
}

fn layer() -> CallbackLayer {
    endpoint().0.layer("/callback").unwrap()
}

/// A body that nobody may read.
struct Unread;

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body is read")
    }
}

/// An app that allocates once for each request, and is ready when it was asked often enough. Clones
/// are asked anew.
struct App {
    patience: u32,
    asked: u32,
}

impl App {
    fn new(patience: u32) -> Self {
        Self { patience, asked: 0 }
    }
}

impl Clone for App {
    fn clone(&self) -> Self {
        Self::new(self.patience)
    }
}

impl Service<Request<Unread>> for App {
    type Response = Response<Unread>;
    type Error = Infallible;
    type Future = Pin<Box<Ready<Result<Response<Unread>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.asked < self.patience {
            self.asked += 1;
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Unread>) -> Self::Future {
        assert!(self.asked >= self.patience, "it is called when it is ready");
        self.asked = 0;
        Box::pin(ready(Ok(Response::new(Unread))))
    }
}

fn to(target: &str) -> Request<Unread> {
    Request::post(target).body(Unread).unwrap()
}

/// What it takes to have a service answer: its readiness and its future, polled until they are done.
fn cost<S: Service<Request<Unread>>>(service: &mut S, request: Request<Unread>) -> AllocationInfo {
    let mut cx = Context::from_waker(Waker::noop());
    let mut request = Some(request);
    let mut outcome = None;
    let info = allocation_counter::measure(|| {
        while service.poll_ready(&mut cx).is_pending() {}
        let mut future = pin!(service.call(request.take().unwrap()));
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                outcome = Some(result);
                break;
            }
        }
    });
    assert!(outcome.unwrap().is_ok());
    info
}

const FOREIGN: [&str; 6] = [
    "/",
    "/callbacks",
    "/callback/more",
    "/users/7?token=x",
    "http://example.com/a/b",
    "*",
];

#[test]
fn a_foreign_request_to_a_ready_app_allocates_nothing_more_than_the_app() {
    let layer = layer();
    for target in FOREIGN {
        let alone = cost(&mut App::new(0), to(target));
        let layered = cost(&mut layer.layer(App::new(0)), to(target));
        assert_eq!(alone.count_total, 1, "what is counted is counted");
        assert_eq!(layered, alone, "{target}");
    }
}

#[test]
fn a_foreign_request_that_waits_for_the_app_allocates_nothing_more_than_the_app() {
    let layer = layer();
    for target in FOREIGN {
        let alone = cost(&mut App::new(3), to(target));
        let layered = cost(&mut layer.layer(App::new(3)), to(target));
        assert_eq!(layered, alone, "{target}");
    }
}

/// What a request from a stranger costs: how many tasks it leaves, and how many records.
fn refused(status: u16, request: impl Fn() -> Request<Unread>) {
    let (service, store) = endpoint();
    let layer = service.layer("/callback").unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let by_leaf = service.oneshot(request()).await.unwrap();
        let by_layer = layer.layer(App::new(0)).oneshot(request()).await.unwrap();
        assert_eq!(by_leaf.status(), status);
        assert_eq!(by_layer.status(), status);
        assert_eq!(runtime.metrics().num_alive_tasks(), 0, "no task is spawned");
        for queue in [
            Queue::events("music-video"),
            Queue::quarantine("music-video"),
        ] {
            assert_eq!(store.counts(&queue).await.unwrap().pending, 0);
        }
    });
}

#[test]
fn a_stranger_has_no_byte_read_no_task_spawned_and_nothing_stored() {
    refused(401, || to("/callback?token=wrong"));
    refused(401, || to("/callback"));
    refused(405, || {
        let mut get = to(&format!("/callback?token={SECRET}"));
        *get.method_mut() = http::Method::GET;
        get
    });
    refused(401, || {
        let mut announced = to("/callback?token=wrong");
        let headers = announced.headers_mut();
        headers.insert("content-length", "2000".parse().unwrap());
        headers.insert("expect", "100-continue".parse().unwrap());
        announced
    });
}

#[test]
fn a_proven_caller_who_announces_too_much_has_no_byte_read() {
    refused(413, || {
        let mut announced = to(&format!("/callback?token={SECRET}"));
        let headers = announced.headers_mut();
        headers.insert("content-length", "2097153".parse().unwrap());
        announced
    });
}

#[test]
fn a_refusal_by_head_is_answered_from_a_future_that_is_ready() {
    let (mut service, _) = endpoint();
    let mut future = pin!(service.call(to("/callback?token=wrong")));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_ready());
}
