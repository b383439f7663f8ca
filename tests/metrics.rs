//! What is counted, and that no secret is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, MemoryStore, MusicVideo, Token,
    verify::{Secret, Secrets},
};

const LASTING: &str = "a-lasting-secret-of-32-characters";
const RETIRING: &str = "a-retiring-secret-of-32-characters";
const SUCCESS: &str =
    r#"{"code":200,"data":{"task_id":"task-1","video_url":"https://example.com/v.mp4"}}"#;

fn endpoint() -> CallbackService {
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let secrets = Secrets::from([
        Secret::new(LASTING).with_label("2026-11"),
        Secret::new(RETIRING)
            .with_label("2026-10")
            .with_until(tomorrow),
    ]);
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", secrets))
        .store(MemoryStore::new())
        .build_front()
        .unwrap()
}

async fn send(service: &CallbackService, query: &str, body: &'static str) {
    let request = Request::post(format!("/callback?{query}"))
        .body(Full::<Bytes>::from(body))
        .unwrap();
    service.clone().oneshot(request).await.unwrap();
}

/// Every counter as `name{label=value,…} count`, in order.
fn counted(snapshotter: &Snapshotter) -> Vec<String> {
    let mut lines: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels
                .map(|l| format!("{}={}", l.key(), l.value()))
                .collect();
            let DebugValue::Counter(count) = value else {
                panic!("all of them are counters");
            };
            format!("{}{{{}}} {count}", key.key().name(), labels.join(","))
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn outcomes_refusals_and_secrets_are_counted_by_name() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let service = endpoint();
    send(&service, &format!("token={LASTING}"), SUCCESS).await;
    send(&service, &format!("token={RETIRING}"), SUCCESS).await;
    send(&service, &format!("token={RETIRING}"), "{").await;
    send(&service, "token=a-canary-for-a-guess", SUCCESS).await;
    send(&service, "", SUCCESS).await;
    let counted = counted(&recorder.snapshotter());
    assert_eq!(
        counted,
        [
            "tower_callback_received_total{endpoint=music-video,outcome=malformed} 1",
            "tower_callback_received_total{endpoint=music-video,outcome=refused} 2",
            "tower_callback_received_total{endpoint=music-video,outcome=repeated} 1",
            "tower_callback_received_total{endpoint=music-video,outcome=stored} 1",
            "tower_callback_refused_total{endpoint=music-video,kind=mismatch,part=token} 1",
            "tower_callback_refused_total{endpoint=music-video,kind=missing,part=token} 1",
            "tower_callback_secret_used_total{endpoint=music-video,label=2026-10,retiring=true} 2",
            "tower_callback_secret_used_total{endpoint=music-video,label=2026-11,retiring=false} 1",
        ],
        "and no secret, no guess and no task is among the labels"
    );
}
