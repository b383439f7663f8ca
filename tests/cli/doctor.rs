//! `doctor`, on servers that are deliberately wrong, and on right ones.

use std::time::Duration;

use axum::{
    Router,
    http::header::CONTENT_TYPE,
    response::{Html, IntoResponse as _, Redirect},
    routing::{any, get},
};
use serde_json::Value;
use tokio::task::JoinSet;
use tower_callback::{Callbacks, MemoryStore, MusicVideo, Token, store::Inspect};

use crate::{
    command::{Ended, SECRET, tls_file, tower_callback},
    receiver::{self, PATH},
    tls, trials,
};

trials! {
    a_right_server_is_found_right_and_no_handler_sees_the_test,
    over_tls_the_days_left_are_told,
    a_certificate_that_ended_is_wrong,
    a_name_that_is_none_is_wrong,
    nobody_who_listens_is_wrong,
    plain_http_and_private_addresses_are_wrong_but_on_ones_own_machine,
    a_redirect_is_wrong,
    a_single_page_app_is_wrong,
    a_grpc_fallback_is_wrong,
    a_slow_server_is_wrong,
    a_server_without_proof_is_wrong_and_gets_no_test_with_proof,
    a_path_where_nothing_is_mounted_is_wrong,
    another_secret_is_wrong,
    a_concealed_endpoint_is_right,
    a_video_is_told_from_a_web_page,
    each_line_that_is_not_good_says_what_to_do,
}

/// What it tells of a URL on this machine, and the result of one check in it.
async fn examine(url: &str, more: &[&str], code: i32) -> Value {
    let words = [&["doctor", url, "--local"], more].concat();
    tower_callback(&words).tells(code).await
}

fn result<'a>(told: &'a Value, check: &str) -> &'a str {
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["check"] == check);
    found.unwrap_or_else(|| panic!("no {check}: {told:#}"))["result"]
        .as_str()
        .unwrap()
}

fn seen(told: &Value, check: &str) -> String {
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["check"] == check).unwrap();
    found["seen"].as_str().unwrap().to_owned()
}

const TOKEN: [&str; 2] = ["--token", "env:CALLBACK_SECRET"];

/// Serves an app that answers in one way whatever it is asked.
async fn serve(app: Router) -> (String, JoinSet<()>) {
    let mut tasks = JoinSet::new();
    let port = receiver::serve(app, &mut tasks).await;
    (format!("http://127.0.0.1:{port}{PATH}"), tasks)
}

async fn a_right_server_is_found_right_and_no_handler_sees_the_test() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let told = examine(&receiver.url, &TOKEN, 0).await;
    assert_eq!(told["wrong"], 0);
    for check in ["name", "connection", "answer", "proof", "test callback"] {
        assert_eq!(result(&told, check), "ok", "{check}: {told:#}");
    }
    assert_eq!(
        result(&told, "reach"),
        "unseen",
        "it cannot be proved from inside"
    );
    assert!(
        receiver.store.queues().await.unwrap().is_empty(),
        "the test is kept nowhere"
    );
    assert!(receiver.handled.lock().unwrap().is_empty());
    // The URL may hold the token too.
    let url = format!("{}?token={SECRET}", receiver.url);
    let words = ["doctor", "env:CALLBACK_URL", "--local"];
    let told = tower_callback(&words)
        .env("CALLBACK_URL", &url)
        .tells(0)
        .await;
    assert_eq!(result(&told, "test callback"), "ok");
    // Without it, it is not sent.
    let told = examine(&receiver.url, &[], 0).await;
    assert_eq!(result(&told, "test callback"), "unseen");
}

async fn over_tls_the_days_left_are_told() {
    let (callback, _worker) = receiver::endpoint(MemoryStore::new(), &Default::default());
    let mut tasks = JoinSet::new();
    let app = Router::new().route_service(PATH, callback);
    let port = tls::serve(app, "good.pem", &mut tasks).await;
    let url = format!("https://localhost:{port}{PATH}");
    let told = examine(&url, &TOKEN, 0).await;
    assert_eq!(result(&told, "TLS"), "ok");
    assert!(seen(&told, "TLS").ends_with(" more days"), "{told:#}");
    assert_eq!(result(&told, "test callback"), "ok");
}

async fn a_certificate_that_ended_is_wrong() {
    let mut tasks = JoinSet::new();
    let port = tls::serve(Router::new(), "expired.pem", &mut tasks).await;
    let told = examine(&format!("https://localhost:{port}{PATH}"), &TOKEN, 1).await;
    assert_eq!(result(&told, "TLS"), "wrong");
    assert!(seen(&told, "TLS").contains("expired"), "{told:#}");
    // One that is good, of an authority that nobody knows here.
    let port = tls::serve(Router::new(), "good.pem", &mut tasks).await;
    let url = format!("https://localhost:{port}{PATH}");
    let words = ["doctor", &url, "--local"];
    let other = tls_file("expired.pem");
    let told = tower_callback(&words).env("SSL_CERT_FILE", other.to_str().unwrap());
    let told = told.tells(1).await;
    assert_eq!(result(&told, "TLS"), "wrong", "{told:#}");
}

async fn a_name_that_is_none_is_wrong() {
    let told = examine("https://callback.invalid/callback", &[], 1).await;
    assert_eq!(result(&told, "name"), "wrong");
}

async fn nobody_who_listens_is_wrong() {
    let told = examine("http://127.0.0.1:1/callback", &[], 1).await;
    assert_eq!(result(&told, "connection"), "wrong");
}

async fn plain_http_and_private_addresses_are_wrong_but_on_ones_own_machine() {
    let (url, _tasks) = serve(Router::new()).await;
    let told = tower_callback(&["doctor", &url]).tells(1).await;
    assert_eq!(result(&told, "address"), "wrong");
    assert_eq!(result(&told, "TLS"), "wrong");
    let told = examine(&url, &[], 1).await;
    assert_eq!(result(&told, "address"), "unseen");
    assert_eq!(result(&told, "TLS"), "unseen");
}

async fn a_redirect_is_wrong() {
    let elsewhere = async || Redirect::permanent("https://example.com/callback/?token=s3cret");
    let (url, _tasks) = serve(Router::new().route(PATH, any(elsewhere))).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "redirect"), "wrong");
    assert_eq!(
        seen(&told, "redirect"),
        "308 to https://example.com/callback/"
    );
    assert_eq!(result(&told, "test callback"), "unseen");
}

async fn a_single_page_app_is_wrong() {
    let page = async || Html("<!doctype html><div id=app></div>");
    let (url, _tasks) = serve(Router::new().fallback(page)).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "endpoint"), "wrong");
    assert_eq!(seen(&told, "endpoint"), "200 with a web page");
}

async fn a_grpc_fallback_is_wrong() {
    // What tonic answers where nothing is mounted.
    let unimplemented = async || {
        [
            ("grpc-status", "12"),
            (CONTENT_TYPE.as_str(), "application/grpc"),
        ]
        .into_response()
    };
    let (url, _tasks) = serve(Router::new().fallback(unimplemented)).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "endpoint"), "wrong");
    assert!(seen(&told, "endpoint").contains("gRPC"), "{told:#}");
}

async fn a_slow_server_is_wrong() {
    let slow = async || {
        tokio::time::sleep(Duration::from_secs(600)).await;
    };
    let (url, _tasks) = serve(Router::new().fallback(slow)).await;
    let told = examine(&url, &["--deadline", "300ms"], 1).await;
    assert_eq!(result(&told, "answer"), "wrong");
    assert_eq!(seen(&told, "answer"), "no answer within 300 ms");
}

async fn a_server_without_proof_is_wrong_and_gets_no_test_with_proof() {
    let open = async || r#"{"status":"received"}"#;
    let (url, _tasks) = serve(Router::new().route(PATH, any(open))).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "proof"), "wrong");
    assert_eq!(result(&told, "test callback"), "unseen");
    // Ours is open only if somebody said so.
    let callback = Callbacks::<MusicVideo>::dangerous()
        .unverified("music-video")
        .store(MemoryStore::new());
    let app = Router::new().route_service(PATH, callback.build_front().unwrap());
    let (url, _tasks) = serve(app).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "proof"), "wrong");
}

async fn a_path_where_nothing_is_mounted_is_wrong() {
    let (url, _tasks) = serve(Router::new().route("/elsewhere", any(async || ""))).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert_eq!(result(&told, "path"), "wrong");
    let (url, _tasks) = serve(Router::new().route(PATH, get(async || ""))).await;
    let told = examine(&url, &TOKEN, 1).await;
    assert!(seen(&told, "path").starts_with("405"), "{told:#}");
}

async fn another_secret_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let words = ["doctor", &receiver.url, "--local", "--token", "env:OTHER"];
    let told = tower_callback(&words)
        .env("OTHER", "another-one")
        .tells(1)
        .await;
    assert_eq!(result(&told, "proof"), "ok");
    assert_eq!(result(&told, "test callback"), "wrong");
}

async fn a_concealed_endpoint_is_right() {
    let callback = Callbacks::<MusicVideo>::new("music-video", Token::bearer(SECRET))
        .conceal()
        .store(MemoryStore::new());
    let app = Router::new().route_service(PATH, callback.build_front().unwrap());
    let (url, _tasks) = serve(app).await;
    let bearer = [&TOKEN[..], &["--token-in", "bearer"]].concat();
    let told = examine(&url, &bearer, 0).await;
    assert_eq!(result(&told, "proof"), "ok");
    assert_eq!(result(&told, "test callback"), "ok");
}

async fn a_video_is_told_from_a_web_page() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let video = async || [&b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2"[..], &[0; 1000]].concat();
    let app = Router::new()
        .route("/video.mp4", get(video))
        .route("/page", get(async || Html("<h1>sign in</h1>")));
    let mut tasks = JoinSet::new();
    let port = receiver::serve(app, &mut tasks).await;
    let videos = directory.path().join("videos");
    for (path, is_right, what) in [
        ("video.mp4", true, "1024 bytes"),
        ("page", false, "MP4"),
        ("gone.mp4", false, "404"),
    ] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let more = ["--video", &url, "--videos", videos.to_str().unwrap()];
        let told = examine(&receiver.url, &more, i32::from(!is_right)).await;
        let expected = if is_right { "ok" } else { "wrong" };
        assert_eq!(result(&told, "video"), expected, "{told:#}");
        assert!(seen(&told, "video").contains(what), "{told:#}");
    }
    assert_eq!(
        std::fs::read_dir(videos).unwrap().count(),
        0,
        "nothing is kept"
    );
    // Where a provider is not to lead anybody.
    let url = format!("http://127.0.0.1:{port}/video.mp4");
    let words = ["doctor", &receiver.url, "--video", &url];
    let told = tower_callback(&words).tells(1).await;
    assert_eq!(result(&told, "video"), "wrong");
}

async fn each_line_that_is_not_good_says_what_to_do() {
    let (url, _tasks) = serve(Router::new()).await;
    let Ended { stdout, .. } = tower_callback(&["doctor", &url]).ends_with(1).await;
    let lines: Vec<&str> = stdout.lines().collect();
    let mut told = 0;
    for (at, line) in lines.iter().enumerate() {
        let word = line.split_whitespace().next().unwrap();
        if line.starts_with("  ") && ["wrong", "unseen", "warning"].contains(&word) {
            assert!(lines[at + 1].starts_with("          "), "{stdout}");
            told += 1;
        }
    }
    assert!(told >= 4, "{stdout}");
}
