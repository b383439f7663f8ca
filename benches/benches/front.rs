//! One request through the front, in process: what each outcome costs, and the app alone beside it.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench front
//! ```

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use divan::{Bencher, black_box};
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_callback::{CallbackService, Callbacks, MemoryStore, MusicVideo, Token};

const SECRET: &str = "a-secret-of-32-characters-or-so";

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts")
}

fn endpoint() -> CallbackService {
    let store = MemoryStore::new().with_capacity(100_000_000);
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(store)
        .build_front()
        .expect("the settings are right")
}

fn request(path: &str, secret: &str, task: u64) -> Request<String> {
    let body = format!(
        r#"{{"code":200,"msg":"MP4 generated successfully.","data":{{"task_id":"task-{task:016x}","video_url":"https://example.com/v.mp4"}}}}"#
    );
    Request::post(format!("{path}?token={secret}"))
        .body(body)
        .expect("a request is well-formed")
}

/// Calls the leaf with requests that `make` makes.
fn leaf(bencher: Bencher<'_, '_>, make: impl Fn(u64) -> Request<String>) {
    let runtime = runtime();
    let service = endpoint();
    let next = AtomicU64::new(0);
    bencher
        .with_inputs(|| make(next.fetch_add(1, Ordering::Relaxed)))
        .bench_local_values(|request| {
            let response = runtime.block_on(service.clone().oneshot(request));
            black_box(response)
        });
}

/// A new event: proven, read, stored, answered.
#[divan::bench]
fn accepted(bencher: Bencher<'_, '_>) {
    leaf(bencher, |task| request("/", SECRET, task));
}

/// The same event again.
#[divan::bench]
fn repeated(bencher: Bencher<'_, '_>) {
    leaf(bencher, |_| request("/", SECRET, 7));
}

/// A wrong token: nothing is read or stored.
#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    leaf(bencher, |task| request("/", "a-guess", task));
}

async fn app(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.into_body()))
}

/// The floor of the next one.
#[divan::bench]
fn app_alone(bencher: Bencher<'_, '_>) {
    foreign(bencher, service_fn(app));
}

/// A request for another path, through the layer.
#[divan::bench]
fn app_inside_the_layer(bencher: Bencher<'_, '_>) {
    let layer = endpoint().layer("/callback").expect("the path is one");
    foreign(bencher, layer.layer(service_fn(app)));
}

fn foreign<S>(bencher: Bencher<'_, '_>, mut service: S)
where
    S: Service<Request<String>, Error = Infallible>,
{
    let runtime = runtime();
    bencher
        .with_inputs(|| request("/other", SECRET, 7))
        .bench_local_values(|request| {
            let response = runtime.block_on(async { service.ready().await?.call(request).await });
            black_box(response.is_ok())
        });
}
