//! Whole requests, through hyper.

use std::{error::Error, sync::Arc};

use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};

use super::wire::Wire;
use crate::{
    payload::{self, random_id},
    receivers::{axum, bare, hand_written, ours},
};

const OK: &str = "HTTP/1.1 200 ";
const UNAUTHORIZED: &str = "HTTP/1.1 401 ";

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts")
}

pub(super) fn bare(times: u32) {
    converse(|| service_fn(bare::answer), unique(times), OK);
}

pub(super) fn bare_unread(times: u32) {
    converse(|| service_fn(bare::answer_unread), unique(times), OK);
}

pub(super) fn accepted(times: u32) {
    converse(ours, unique(times), OK);
}

pub(super) fn duplicate(times: u32) {
    converse(ours, same(times), OK);
}

pub(super) fn refused(times: u32) {
    converse(ours, forged(times), UNAUTHORIZED);
}

pub(super) fn hand_written_accepted(times: u32) {
    converse(hand_written, unique(times), OK);
}

pub(super) fn hand_written_refused(times: u32) {
    converse(hand_written, forged(times), UNAUTHORIZED);
}

pub(super) fn axum_accepted(times: u32) {
    converse(
        || TowerToHyperService::new(axum::router()),
        unique(times),
        OK,
    );
}

pub(super) fn axum_refused(times: u32) {
    let make = || TowerToHyperService::new(axum::router());
    converse(make, forged(times), UNAUTHORIZED);
}

fn ours() -> TowerToHyperService<tower_callback::CallbackService> {
    let front = ours::front(ours::memory()).expect("the settings are right");
    TowerToHyperService::new(front)
}

fn hand_written() -> impl Service<
    Request<Incoming>,
    Response = Response<impl Body<Data: Send, Error: Error + Send + Sync>>,
    Error: Error + Send + Sync,
> {
    let seen = hand_written::Seen::default();
    service_fn(move |request| hand_written::answer(Arc::clone(&seen), request))
}

fn unique(times: u32) -> Vec<Vec<u8>> {
    let mut request = payload::Request::proven();
    let each = |_| {
        request.set_id(random_id());
        request.bytes().to_vec()
    };
    (0..times).map(each).collect()
}

fn same(times: u32) -> Vec<Vec<u8>> {
    vec![payload::Request::proven().bytes().to_vec(); times as usize]
}

fn forged(times: u32) -> Vec<Vec<u8>> {
    vec![payload::Request::forged().bytes().to_vec(); times as usize]
}

/// Has a service answer all requests on one connection.
fn converse<S, B>(make: impl FnOnce() -> S, requests: Vec<Vec<u8>>, expected: &'static str)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    runtime().block_on(async {
        let wire = Wire::new(requests, expected);
        let served = http1::Builder::new().serve_connection(wire, make()).await;
        served.expect("every request is answered");
    });
}
