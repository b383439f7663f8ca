//! What strangers learn, and what they cost: nothing of a secret in whatever we emit, one answer to
//! every refusal, and no memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod body;
mod canary;
#[path = "../../src/testing/capture.rs"]
mod capture;
mod debug;
mod flood;
mod kinds;

use http::{Request, Response};
use http_body_util::BodyExt;
use metrics_util::debugging::DebuggingRecorder;
use tower::ServiceExt;
use tower_callback::{CallbackService, front::ReplyBody};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use self::{body::Chunks, capture::Capture};

/// A secret. It stands in every place where a caller or a provider can put something.
const CANARY: &str = "canary-5f3c9d1e-sings-for-nobody";

const SUCCESS: &str = r#"{"code":200,"msg":"CANARY","data":{"task_id":"TASK","video_url":"https://CANARY@example.com/CANARY"}}"#;

/// A body with the canary in it, about a task.
fn success(task: &str) -> String {
    SUCCESS.replace("CANARY", CANARY).replace("TASK", task)
}

/// One answer, whole.
async fn call(service: &CallbackService, request: Request<Chunks>) -> Response<ReplyBody> {
    service.clone().oneshot(request).await.unwrap()
}

/// Everything in an answer that its caller sees.
async fn seen(response: Response<ReplyBody>) -> String {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{} {:?} {body:?}", head.status, head.headers)
}

/// Everything that is traced while a test runs, at every level and by every crate.
fn traced() -> Capture {
    Capture::start_with(Level::TRACE, FmtSpan::FULL)
}

/// Everything that is counted while a test runs; nothing without the feature `metrics`.
struct Metered {
    recorder: &'static DebuggingRecorder,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Metered {
    /// Counts what this thread does.
    fn start() -> Self {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            recorder,
            _guard: metrics::set_default_local_recorder(recorder),
        }
    }

    fn text(&self) -> String {
        let all = self.recorder.snapshotter().snapshot().into_vec();
        assert_eq!(all.is_empty(), !cfg!(feature = "metrics"));
        format!("{all:?}")
    }
}

/// That a text has the canary in none of the forms in which it could be printed.
#[track_caller]
fn assert_unseen(text: &str, secret: &str) {
    let bytes = secret.as_bytes();
    let joined = |separator: &str, print: fn(&u8) -> String| {
        let printed: Vec<_> = bytes.iter().map(print).collect();
        printed.join(separator)
    };
    for form in [
        secret.to_owned(),
        joined("", |b| format!("{b:02x}")),
        joined(", ", |b| b.to_string()),
        joined(", ", |b| format!("0x{b:x}")),
        joined("", |b| format!("%{b:02x}")),
        joined("", |b| format!("\\x{b:02x}")),
        base64(bytes),
        base64(&bytes[1..]),
        base64(&bytes[2..]),
    ] {
        let found = text.to_lowercase().find(&form.to_lowercase());
        assert!(found.is_none(), "{form} in {text}");
    }
}

/// Base64 without what depends on the bytes that come after.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks_exact(3)
        .flat_map(|chunk| {
            let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
            [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift) as usize & 63]))
        })
        .collect()
}

#[test]
fn a_canary_is_seen_in_every_form() {
    let seen = |text: String| {
        std::panic::catch_unwind(|| assert_unseen(&text, CANARY)).expect_err(&text);
    };
    let bytes = CANARY.as_bytes();
    seen(format!("token={CANARY}&"));
    seen(CANARY.to_uppercase());
    seen(format!("{bytes:?}"));
    seen(format!("{bytes:02x?}").replace(", ", "").to_uppercase());
    seen(base64(&[b"a", bytes, b"bc"].concat()));
    seen(base64(&[b"aa", bytes, b"b"].concat()));
    seen(base64(bytes));
    assert_unseen(&CANARY[1..], CANARY);
}
