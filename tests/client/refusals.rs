//! What an error says, and what is tried again after it: counted by the provider.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::net::TcpListener;
use tower_callback::{
    Clock,
    clock::ManualClock,
    music_video::{Client, ClientError, ClientErrorKind as Kind, Code429},
};
use tracing::Level;

use crate::{
    CALLBACK, KEY, PENDING, TAKEN, builder,
    capture::Capture,
    eager, never, request,
    server::{Reply, Server},
};

/// How a first answer other than success ends: the error, or how many requests it took without one.
struct Ended {
    generate: Result<usize, ClientError>,
    details: Result<usize, ClientError>,
}

/// Answers the first of each call so, and all others with success.
async fn after(first: fn() -> Reply, code_429: Option<Code429>) -> Ended {
    let server = Server::start(move |n, seen| match (n, seen.body.is_empty()) {
        (0, _) => first(),
        (_, true) => Reply::ok(PENDING),
        (_, false) => Reply::ok(TAKEN),
    });
    let server = server.await;
    let mut client = builder(&server.base).with_retries(eager());
    if let Some(meaning) = code_429 {
        client = client.with_code_429(meaning);
    }
    let client = client.build().unwrap();
    let generate = client.generate(&request(), CALLBACK).await;
    let generate = generate.map(|_| server.seen().len());
    if generate.is_err() {
        assert_eq!(
            server.seen().len(),
            1,
            "a submission is not repeated by chance"
        );
    }

    let server = Server::start(move |n, _| if n == 0 { first() } else { Reply::ok(PENDING) }).await;
    let details = Client::builder(&server.base, KEY).with_retries(eager());
    let mut details = details.dangerous().allow_http();
    if let Some(meaning) = code_429 {
        details = details.with_code_429(meaning);
    }
    let details = details.build().unwrap().details("task-1").await;
    let details = details.map(|_| server.seen().len());
    if let Err(error) = &details {
        assert_eq!(server.seen().len(), 1);
        assert!(
            !error.may_have_been_submitted(),
            "a question submits nothing"
        );
    }
    Ended { generate, details }
}

#[tokio::test]
async fn a_submission_that_was_surely_refused_for_a_while_is_made_again() {
    for refused in [
        (|| Reply::ok(r#"{"code":405,"msg":"x","data":null}"#)) as fn() -> Reply,
        || Reply::ok(r#"{"code":430}"#),
        || Reply::ok(r#"{"code":455,"data":{}}"#),
        || Reply::new(455, "<html>"),
        || Reply::new(429, "<html>"),
        || Reply::new(500, r#"{"code":430}"#),
        || Reply::new(429, "{").cut(),
    ] {
        let ended = after(refused, None).await;
        assert_eq!(ended.generate.unwrap(), 2);
        assert_eq!(ended.details.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_submission_that_may_have_been_taken_is_never_made_again() {
    for (unclear, kind) in [
        ((|| Reply::unanswered()) as fn() -> Reply, Kind::Transport),
        (|| Reply::ok(TAKEN).cut(), Kind::Transport),
        (|| Reply::ok(""), Kind::Unreadable),
        (|| Reply::ok("<html>"), Kind::Unreadable),
        (|| Reply::ok(r#"{"code":200,"code":430}"#), Kind::Unreadable),
        (|| Reply::ok(r#"{"code":200}"#), Kind::Unreadable),
        (|| Reply::ok(r#"{"code":500,"msg":"x"}"#), Kind::Server),
        (|| Reply::ok(r#"{"code":"531"}"#), Kind::Server),
        (|| Reply::new(502, "<html>"), Kind::Server),
        (
            || Reply::new(503, "").header("retry-after", "0"),
            Kind::Server,
        ),
        (|| Reply::new(408, ""), Kind::Timeout),
    ] {
        let ended = after(unclear, None).await;
        let error = ended.generate.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.may_have_been_submitted(), "{error}");
        assert!(error.is_retryable());
        // Without data, it is the answer that the task is unknown.
        let requests = if error.code() == Some(200) { 1 } else { 2 };
        assert_eq!(ended.details.unwrap(), requests);
    }
    for (unclear, kind) in [
        (
            (|| Reply::ok(r#"{"code":777}"#)) as fn() -> Reply,
            Kind::Other,
        ),
        (|| Reply::ok(r#"{"code":409}"#), Kind::Conflict),
        (|| Reply::new(409, ""), Kind::Conflict),
        (
            || Reply::new(303, "").header("location", "/"),
            Kind::Redirected,
        ),
    ] {
        let ended = after(unclear, None).await;
        let error = ended.generate.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(
            error.may_have_been_submitted() && !error.is_retryable(),
            "{error}"
        );
        assert!(ended.details.is_err());
    }
}

#[tokio::test]
async fn what_only_somebody_can_mend_is_an_error_at_once_and_nothing_was_submitted() {
    for (refused, kind) in [
        (
            (|| Reply::ok(r#"{"code":401}"#)) as fn() -> Reply,
            Kind::Unauthorized,
        ),
        (|| Reply::new(403, "<html>"), Kind::Unauthorized),
        (|| Reply::ok(r#"{"code":402}"#), Kind::InsufficientCredits),
        (
            || Reply::ok(r#"{"code":400,"data":{"a":1}}"#),
            Kind::InvalidRequest,
        ),
        (
            || Reply::ok(r#"{"code":422,"data":{"a":1}}"#),
            Kind::InvalidRequest,
        ),
        (
            || Reply::ok(r#"{"code":404,"data":{"a":1}}"#),
            Kind::NotFound,
        ),
        (|| Reply::new(404, "<html>"), Kind::NotFound),
        (|| Reply::new(405, "<html>"), Kind::NotFound),
        (|| Reply::ok(r#"{"code":"413"}"#), Kind::TooLong),
        (|| Reply::new(413, ""), Kind::TooLong),
        (
            || Reply::new(301, "").header("location", "/"),
            Kind::Redirected,
        ),
        (
            || Reply::new(308, "").header("location", "/"),
            Kind::Redirected,
        ),
    ] {
        let ended = after(refused, None).await;
        for error in [ended.generate.unwrap_err(), ended.details.unwrap_err()] {
            assert_eq!(error.kind(), kind);
            assert!(
                !error.may_have_been_submitted() && !error.is_retryable(),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn the_meaning_of_429_is_what_the_user_says_and_not_a_guess() {
    let refused = || Reply::ok(r#"{"code":429,"msg":"x"}"#);
    let untold = after(refused, None).await;
    let error = untold.generate.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Ambiguous429, Some(429))
    );
    assert!(error.to_string().contains("with_code_429"));
    assert!(error.is_retryable() && !error.may_have_been_submitted());
    assert_eq!(untold.details.unwrap(), 2);

    let limited = after(refused, Some(Code429::RateLimited)).await;
    assert_eq!(
        (limited.generate.unwrap(), limited.details.unwrap()),
        (2, 2)
    );

    let broke = after(refused, Some(Code429::InsufficientCredits)).await;
    for error in [broke.generate.unwrap_err(), broke.details.unwrap_err()] {
        assert_eq!(error.kind(), Kind::InsufficientCredits);
        assert!(!error.is_retryable() && !error.may_have_been_submitted());
    }

    // Not the provider's: it has no code.
    let bare = after(|| Reply::new(429, ""), Some(Code429::InsufficientCredits)).await;
    assert_eq!((bare.generate.unwrap(), bare.details.unwrap()), (2, 2));
}

#[tokio::test]
async fn the_code_decides_whatever_the_status_is() {
    for status in [201, 400, 401, 429, 500, 503] {
        let server = Server::always(status, TAKEN).await;
        let client = builder(&server.base).build().unwrap();
        let taken = client.generate(&request(), CALLBACK).await.unwrap();
        assert_eq!(taken.task_id, "task-1");
        let server = Server::always(status, PENDING).await;
        let client = builder(&server.base).build().unwrap();
        assert!(client.details("task-1").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_refusal_without_end_ends_with_the_last_error() {
    let server = Server::always(200, r#"{"code":455}"#).await;
    let retries = eager().with_total(Duration::from_millis(20));
    let client = builder(&server.base).with_retries(retries).build().unwrap();
    let error = client.generate(&request(), CALLBACK).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Maintenance);
}

#[tokio::test]
async fn without_retries_the_first_error_is_the_last() {
    let server = Server::always(200, r#"{"code":455}"#).await;
    let client = builder(&server.base).with_retries(never()).build().unwrap();
    client.generate(&request(), CALLBACK).await.unwrap_err();
    client.details("task-1").await.unwrap_err();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn each_attempt_that_is_made_again_is_traced_with_its_number() {
    let capture = Capture::start(Level::TRACE);
    let server = Server::start(|n, _| match n {
        0..4 => Reply::ok(r#"{"code":455}"#),
        _ => Reply::ok(PENDING),
    });
    let server = server.await;
    let client = builder(&server.base).with_retries(eager()).build().unwrap();
    client.details("task-1").await.unwrap();
    let lines = capture.lines("asking the provider again");
    assert_eq!(lines.len() + 1, server.seen().len());
    assert!(lines.len() > 1, "{lines:?}");
    for (line, attempt) in lines.iter().zip(1..) {
        assert!(line.contains(&format!("attempt={attempt}")), "{line}");
    }
}

/// Turns the clock while something runs.
async fn turning<F: Future>(hands: &ManualClock, by: Duration, future: F) -> F::Output {
    let turn = async {
        loop {
            // To let sockets be served.
            tokio::time::sleep(Duration::from_millis(1)).await;
            hands.advance(by);
        }
    };
    tokio::select! {
        output = future => output,
        () = turn => unreachable!("it turns for ever"),
    }
}

#[tokio::test]
async fn a_wish_to_be_left_alone_is_granted_where_there_is_time_and_else_told() {
    let hands = Clock::manual();
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let (hands, arrivals) = (hands.clone(), Arc::clone(&arrivals));
        move |n, _| {
            arrivals.lock().unwrap().push(hands.elapsed());
            match n {
                0 => Reply::ok(r#"{"code":430}"#).header("retry-after", "7"),
                1 => Reply::ok(PENDING),
                _ => Reply::ok(r#"{"code":430}"#).header("retry-after", "31"),
            }
        }
    })
    .await;
    let client = builder(&server.base)
        .with_clock(hands.clock())
        .with_timeout(Duration::from_secs(1_000_000))
        .build()
        .unwrap();
    let step = Duration::from_millis(100);
    let answer = turning(&hands, step, client.details("task-1")).await;
    assert!(answer.unwrap().is_some());
    let arrivals = || arrivals.lock().unwrap().clone();
    let pause = arrivals()[1] - arrivals()[0];
    assert!(pause >= Duration::from_secs(7), "{pause:?}");

    // Longer than the 30 s that a call takes by default.
    let error = client.details("task-1").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(31)));
    assert_eq!(arrivals().len(), 3);
}

#[tokio::test]
async fn a_submission_that_never_left_is_made_again() {
    // Closes each connection before TLS stands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let client = Client::builder(base, KEY).with_retries(eager());
    let client = client.build().unwrap();
    let refused_thrice = async {
        for _ in 0..3 {
            drop(listener.accept().await.unwrap());
        }
    };
    let request = request();
    tokio::select! {
        answer = client.generate(&request, CALLBACK) => panic!("{answer:?}"),
        () = refused_thrice => {}
    }
    drop(listener);
    let client = builder(&nobody()).with_retries(never());
    let error = client.build().unwrap().generate(&request, CALLBACK).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Transport);
    assert!(error.is_retryable() && !error.may_have_been_submitted());
}

/// Where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_timeout_says_whether_the_submission_had_left() {
    let timeout = Duration::from_secs(30);
    let hands = Clock::manual();
    let settled = |client: tower_callback::music_video::ClientBuilder| {
        let client = client.with_clock(hands.clock()).with_retries(never());
        client.build().unwrap()
    };

    let server = Server::start(|_, _| Reply::mute()).await;
    let client = settled(builder(&server.base));
    let call = tokio::spawn(async move { client.generate(&request(), CALLBACK).await });
    server.has_seen(1).await;
    hands.advance(timeout - Duration::from_nanos(1));
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    hands.advance(Duration::from_nanos(1));
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.may_have_been_submitted() && error.is_retryable());

    // TLS never stands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let client = settled(Client::builder(base, KEY));
    let call = tokio::spawn(async move { client.generate(&request(), CALLBACK).await });
    let stream = listener.accept().await.unwrap();
    hands.advance(timeout);
    let error = call.await.unwrap().unwrap_err();
    drop(stream);
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(!error.may_have_been_submitted());
}
