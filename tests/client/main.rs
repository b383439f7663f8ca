//! The client, against a provider on a loopback socket that answers as it is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod build;
#[path = "../../src/testing/capture.rs"]
mod capture;
mod hostile;
mod limit;
mod refusals;
mod secrets;
mod server;

use std::time::Duration;

use tower_callback::{
    RetryPolicy,
    music_video::{Client, ClientBuilder, GenerateRequest},
};

const KEY: &str = "canary-key-4b7d1f-sings-for-nobody";
const CALLBACK: &str = "https://example.com/callback?cap=canary-cap-9e2a-sings-for-nobody";
const TAKEN: &str = r#"{"code":200,"msg":"success","data":{"taskId":"task-1"}}"#;
const PENDING: &str =
    r#"{"code":200,"msg":"success","data":{"taskId":"task-1","successFlag":"PENDING"}}"#;

fn builder(base: &str) -> ClientBuilder {
    Client::builder(base, KEY).dangerous().allow_http()
}

/// Tries again at once, and for as long as it takes.
fn eager() -> RetryPolicy {
    RetryPolicy::default()
        .with_first_delay(Duration::from_nanos(1))
        .with_max_delay(Duration::from_nanos(1))
}

fn never() -> RetryPolicy {
    RetryPolicy::default().with_total(Duration::ZERO)
}

fn request() -> GenerateRequest {
    GenerateRequest::new("music-1", "audio-1")
}
