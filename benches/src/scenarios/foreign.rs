//! A request that is not for us, through the layer, and the app alone.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
};

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::http::runtime;
use crate::{payload::CALLBACK, receivers::ours};

fn answer(_: Request<String>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new(String::new())))
}

pub(super) fn app(times: u32) {
    call(times, service_fn(answer));
}

pub(super) fn layered(times: u32) {
    let front = ours::front(ours::memory()).expect("the settings are right");
    let layer = front.layer(CALLBACK).expect("the path is one");
    call(times, layer.layer(service_fn(answer)));
}

fn call<S>(times: u32, mut service: S)
where
    S: Service<Request<String>, Error = Infallible>,
{
    let requests: Vec<Request<String>> = (0..times)
        .map(|_| {
            let request = Request::post("/other?token=x").body(String::new());
            request.expect("a request is well-formed")
        })
        .collect();
    runtime().block_on(async {
        for request in requests {
            let answer = service.ready().await.map(|ready| ready.call(request));
            let Ok(future) = answer;
            black_box(future.await.is_ok());
        }
    });
}
