//! What is traced: every refusal and failure, never a secret, and never more than a disk can take.

use std::time::{Duration, SystemTime};

use tower::ServiceExt;
use tower_callback::{
    Callback, CallbackService, Callbacks, Event, EventKey, MemoryStore, MusicVideo, Token,
    event::{InvalidKey, ParseError},
    front::TEST_CALLBACK,
    testing::{Fault, Recording},
    verify::{Secret, Signature, Verdict, Verify},
    verify_fn,
};
use tracing::Level;

use crate::{
    capture::Capture,
    rig, rig_of,
    support::{PATH, SECRET, SUCCESS, post, request, url},
};

#[tokio::test]
async fn a_missing_proof_is_traced_at_debug_and_a_wrong_one_is_a_warning() {
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    post(rig.server.addr, PATH, SUCCESS).await;
    post(rig.server.addr, &format!("{PATH}?token=wrong"), SUCCESS).await;
    let refused = capture.lines("callback refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(
        refused[0].contains("DEBUG") && refused[0].contains("missing"),
        "{refused:?}"
    );
    assert!(
        refused[1].contains("WARN") && refused[1].contains("mismatch"),
        "{refused:?}"
    );
    for line in refused {
        assert!(
            line.contains("music-video") && line.contains("status=401"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn another_method_than_post_is_traced_at_debug() {
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    request(rig.server.addr, "GET", &url(), &[], "").await;
    let refused = capture.lines("callback refused");
    assert_one(&refused, &["DEBUG", "music-video", "status=405"]);
}

#[tokio::test]
async fn a_flood_of_wrong_tokens_is_a_handful_of_warnings() {
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    let start = std::time::Instant::now();
    for _ in 0..200 {
        post(rig.server.addr, &format!("{PATH}?token=wrong"), SUCCESS).await;
    }
    let warnings = capture.lines("WARN").len() as u64;
    let allowed = start.elapsed().as_secs() + 2;
    // One more says that the store is volatile.
    assert!(
        warnings <= allowed + 1,
        "{warnings} warnings in {:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_near_miss_on_the_path_is_a_warning() {
    use tower::Layer;
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    let app = rig
        .service
        .layer(PATH)
        .unwrap()
        .layer(tower::service_fn(crate::support::inner));
    let server = crate::serve_hyper(app).await;
    post(server.addr, &url().replace("music", "Music"), SUCCESS).await;
    let lines = capture.lines("mistyped");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN"), "{lines:?}");
}

#[tokio::test]
async fn a_volatile_store_is_a_warning_when_an_endpoint_is_built_on_it() {
    let capture = Capture::start(Level::TRACE);
    let _rig = rig().await;
    assert_eq!(capture.lines("volatile").len(), 1);
}

#[tokio::test]
async fn what_can_be_guessed_is_a_warning_when_an_endpoint_is_built_with_it() {
    let build = |proof: Box<dyn Verify>| {
        let capture = Capture::start(Level::TRACE);
        Callbacks::<MusicVideo>::new("music-video", proof)
            .store(MemoryStore::new())
            .build_front()
            .unwrap();
        let lines = capture.lines("can be guessed");
        assert!(
            lines.iter().all(|line| !line.contains("0123456789")),
            "{lines:?}"
        );
        lines.len()
    };
    let (short, long) = ("0123456789abcde", "0123456789abcdef");
    assert_eq!(build(Box::new(Token::header("x-token", short))), 1);
    assert_eq!(build(Box::new(Token::header("x-token", long))), 0);
    assert_eq!(build(Box::new(Signature::github(short))), 1);
    assert_eq!(build(Box::new(Signature::github(long))), 0);
}

#[tokio::test]
async fn a_repeat_with_other_bytes_is_traced() {
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    rig.send(SUCCESS).await;
    rig.send(SUCCESS).await;
    assert_eq!(capture.lines("other bytes").len(), 0);
    rig.send(SUCCESS.replace("v.mp4", "w.mp4")).await;
    assert_eq!(capture.lines("other bytes").len(), 1);
}

/// What is traced as an error or a warning when one callback comes, without what building traced.
async fn trouble(service: CallbackService, body: &str) -> Vec<String> {
    let capture = Capture::start(Level::TRACE);
    let request = http::Request::post(url()).body(body.to_owned()).unwrap();
    service.oneshot(request).await.unwrap();
    let is_trouble = |line: &String| line.contains("ERROR") || line.contains("WARN");
    capture.lines("").into_iter().filter(is_trouble).collect()
}

#[track_caller]
fn assert_one(lines: &[String], told: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:?}");
    for told in told {
        assert!(lines[0].contains(told), "{told:?}: {}", lines[0]);
    }
}

fn endpoint() -> Callbacks<MusicVideo> {
    Callbacks::new(crate::NAME, Token::query("token", SECRET))
}

#[tokio::test]
async fn what_goes_well_is_neither_a_warning_nor_an_error() {
    let service = endpoint().store(MemoryStore::new()).build_front().unwrap();
    for (body, what) in [
        (SUCCESS, "a new event"),
        (SUCCESS, "its repeat"),
        (TEST_CALLBACK, "a test"),
    ] {
        let lines = trouble(service.clone(), body).await;
        assert!(lines.is_empty(), "{what}: {lines:?}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_one_error_that_says_how_it_failed() {
    let store = Recording::new(MemoryStore::new());
    store.fail(Fault::Rejected);
    let service = endpoint().store(store).build_front().unwrap();
    let rejected = ["ERROR", "store_failed", "the store rejects this: "];
    assert_one(&trouble(service.clone(), SUCCESS).await, &rejected);
    let unread = trouble(service, "{}").await;
    assert_one(&unread, &rejected);
    assert_one(&unread, &["not this event: "]);
}

#[tokio::test]
async fn a_function_that_does_not_accept_is_one_error_with_the_whole_chain_of_its_error() {
    #[derive(Debug, thiserror::Error)]
    #[error("the upsert failed")]
    struct Upsert(#[source] std::fmt::Error);
    let service = endpoint()
        .accept(async |_| Err(Upsert(std::fmt::Error))?)
        .unwrap();
    let chain = format!("the upsert failed: {}", std::fmt::Error);
    let told = ["ERROR", "not_accepted", &chain];
    assert_one(&trouble(service, SUCCESS).await, &told);
    let long = endpoint()
        .accept(async |_| Err("x".repeat(100_000))?)
        .unwrap();
    let lines = trouble(long, SUCCESS).await;
    assert_one(&lines, &["xxx"]);
    assert!(lines[0].len() < 8 * 1024, "{}", lines[0].len());
}

#[tokio::test]
async fn a_panic_of_user_code_is_one_error() {
    let accept = |_: MusicVideo| async { panic!("no luck") };
    let service = endpoint().accept(accept).unwrap();
    let told = ["ERROR", "panicked", "status=503"];
    assert_one(&trouble(service, SUCCESS).await, &told);
}

#[tokio::test]
async fn why_a_callback_could_not_be_read_is_a_field_of_its_one_warning() {
    let stored = endpoint().store(MemoryStore::new()).build_front().unwrap();
    let accepted = endpoint().accept(async |_| Ok(())).unwrap();
    for service in [stored, accepted] {
        let told = ["WARN", "malformed", "reason=\"not well-formed: "];
        assert_one(&trouble(service.clone(), "{").await, &told);
        let told = ["WARN", "unprocessable", "reason=\"not this event: "];
        assert_one(&trouble(service, "{}").await, &told);
    }
}

/// An event that says too much about why it is none.
struct Verbose;

impl Event for Verbose {
    fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
        Err(ParseError::unprocessable("x".repeat(100_000)))
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new("verbose")
    }
}

#[tokio::test]
async fn why_a_callback_could_not_be_read_is_traced_in_short() {
    let service = Callbacks::<Verbose>::new(crate::NAME, Token::query("token", SECRET))
        .accept(async |_| Ok(()))
        .unwrap();
    let lines = trouble(service, "{}").await;
    assert_one(&lines, &["xxx"]);
    assert!(lines[0].len() < 1024, "{}", lines[0].len());
}

/// A word that appears in no trace, `Debug` output or answer, wherever a caller puts it.
#[tokio::test]
async fn neither_secrets_nor_bodies_are_traced_or_echoed() {
    const CANARY: &str = "canary-5f3c";
    let capture = Capture::start(Level::TRACE);
    let rig = rig().await;
    let good = CANARY_BODY.replace("CANARY", CANARY);
    let headers = [
        ("authorization", CANARY),
        ("x-canary", CANARY),
        ("content-type", "text/canary-5f3c"),
    ];
    let mut answers = Vec::new();
    for target in [
        url(),
        format!("{PATH}/{CANARY}?token={CANARY}"),
        format!("{PATH}?{CANARY}"),
    ] {
        for method in ["POST", "GET"] {
            for body in [
                good.as_str(),
                CANARY,
                &format!("{{\"code\":\"{CANARY}\"}}"),
                &good[..40],
            ] {
                answers.push(request(rig.server.addr, method, &target, &headers, body).await);
            }
        }
    }
    assert!(capture.lines("callback").len() > 3, "it was traced at all");
    let shown = format!("{}\n{answers:?}\n{:?}", capture.text(), rig.service);
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
}

const CANARY_BODY: &str =
    r#"{"code":400,"msg":"CANARY","data":{"task_id":"CANARY","video_url":"CANARY"}}"#;

#[tokio::test]
async fn a_flood_that_makes_the_proof_panic_is_one_line_a_second() {
    let capture = Capture::start(Level::TRACE);
    let rig = rig_of::<MusicVideo>(verify_fn(|_| panic!("at the head")), |b| b).await;
    for _ in 0..50 {
        assert_eq!(rig.send(SUCCESS).await, 503);
    }
    let lines = capture.lines("user code panicked").len();
    assert!(lines >= 1, "it is traced");
    assert!(
        lines < 50,
        "each request of a stranger has a line of its own"
    );
}

#[tokio::test]
async fn a_flood_of_bodies_that_are_too_large_before_proof_is_one_line_a_second() {
    let capture = Capture::start(Level::TRACE);
    let proof = verify_fn(|_| Verdict::NeedsBody);
    let rig = rig_of::<MusicVideo>(proof, |b| b.unproven_body_limit(10)).await;
    for _ in 0..50 {
        assert_eq!(rig.send(SUCCESS).await, 413);
    }
    let lines = capture.lines("status=413");
    assert!(lines[0].contains("callback refused"), "{}", lines[0]);
    assert!(
        lines.len() < 50,
        "each request of a stranger has a line of its own"
    );
}

#[tokio::test]
async fn the_label_of_the_secret_that_matched_is_traced() {
    let capture = Capture::start(Level::TRACE);
    let proof = Token::query("token", [("2026-11", SECRET)]);
    let rig = crate::rig_of::<MusicVideo>(proof, |builder| builder).await;
    rig.send(SUCCESS).await;
    let proven = capture.lines("callback proven");
    assert_eq!(proven.len(), 1, "{proven:?}");
    assert!(
        proven[0].contains("DEBUG") && proven[0].contains("2026-11"),
        "{proven:?}"
    );
    assert_eq!(capture.lines("retiring").len(), 0);
}

#[tokio::test]
async fn a_retiring_secret_still_in_use_is_a_warning_with_its_label_and_not_for_each_request() {
    let capture = Capture::start(Level::TRACE);
    let end = SystemTime::now() + Duration::from_secs(3600);
    let proof = Token::query(
        "token",
        [
            Secret::new("the-new-one-of-32-characters-or-so").with_label("2026-11"),
            Secret::new(SECRET).with_label("2026-10").with_until(end),
        ],
    );
    let rig = crate::rig_of::<MusicVideo>(proof, |builder| builder).await;
    let start = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(rig.send(SUCCESS).await, 200);
    }
    let warnings = capture.lines("a retiring secret is still in use");
    let allowed = start.elapsed().as_secs() + 2;
    assert!(
        (1..=allowed).contains(&(warnings.len() as u64)),
        "{warnings:?}"
    );
    for warning in warnings {
        assert!(
            warning.contains("WARN") && warning.contains("2026-10"),
            "{warning}"
        );
    }
    assert!(!capture.text().contains(SECRET));
}
