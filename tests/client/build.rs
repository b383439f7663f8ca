//! Settings that cannot work are refused before anything is sent.

use std::time::Duration;

use tower_callback::{
    Clock, RetryPolicy,
    music_video::{Client, ClientErrorKind, GenerateRequest},
    verify::Secret,
};

use crate::{CALLBACK, KEY, PENDING, TAKEN, builder, request, server::Server};

#[test]
fn a_base_that_would_give_the_key_away_or_lead_nowhere_is_refused_and_not_shown() {
    for (base, problem) in [
        ("http://canary.example", "everybody on the way"),
        ("http://127.0.0.1:1", "everybody on the way"),
        ("ftp://canary.example", "no https://"),
        ("file:///canary", "no https://"),
        ("canary.example", "no URL"),
        ("https://", "no URL"),
        ("", "no URL"),
        ("https://canary@example.com", "a user or a password"),
        ("https://:canary@example.com", "a user or a password"),
        ("https://example.com/?canary", "a query"),
        ("https://example.com/#canary", "a fragment"),
    ] {
        let error = Client::builder(base, KEY).build().unwrap_err();
        assert!(error.to_string().contains(problem), "{base}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    for base in ["https://api.sunoapi.org", "HTTPS://api.kie.ai/v/"] {
        Client::builder(base, KEY).build().unwrap();
    }
}

#[test]
fn a_key_that_can_stand_in_no_header_is_refused_and_not_shown() {
    for key in [
        "", " ", "canary\n", " canary", "can ary", "canary\0", "canäry", "\u{7f}",
    ] {
        let error = Client::builder("https://example.com", key)
            .build()
            .unwrap_err();
        assert_eq!(error.setting(), "Client::builder");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let bytes = Secret::from_bytes(b"\xff\xfe");
    Client::builder("https://example.com", bytes)
        .build()
        .unwrap_err();
}

#[test]
fn settings_under_which_nothing_would_be_sent_are_refused() {
    let builder = || Client::builder("https://example.com", KEY.to_owned());
    let second = Duration::from_secs(1);
    for (setting, built) in [
        ("with_rate_limit", builder().with_rate_limit(0, second)),
        (
            "with_rate_limit",
            builder().with_rate_limit(1, Duration::ZERO),
        ),
        ("with_timeout", builder().with_timeout(Duration::ZERO)),
        (
            "with_retries",
            builder().with_retries(RetryPolicy::default().with_first_delay(Duration::ZERO)),
        ),
    ] {
        let error = built.with_clock(Clock::system()).build().unwrap_err();
        assert_eq!(error.setting(), format!("ClientBuilder::{setting}"));
    }
}

#[tokio::test]
async fn a_request_that_the_provider_could_not_take_is_not_sent() {
    let server = Server::always(200, TAKEN).await;
    let client = builder(&server.base).build().unwrap();
    let long = "ü".repeat(51);
    for (request, callback) in [
        (GenerateRequest::new("", "a"), CALLBACK),
        (GenerateRequest::new("t", ""), CALLBACK),
        (request().with_author(&long), CALLBACK),
        (request().with_domain_name(&long), CALLBACK),
        (request(), ""),
    ] {
        let error = client.generate(&request, callback).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::InvalidRequest);
        assert!(!error.is_retryable() && !error.may_have_been_submitted());
        assert_eq!((error.code(), error.status()), (None, None));
    }
    for task in ["", "a\nb", &"x".repeat(256)] {
        let error = client.details(task).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::InvalidRequest);
    }
    assert_eq!(server.seen().len(), 0);
    let longest = "ü".repeat(GenerateRequest::MAX_LABEL);
    let request = request().with_author(&longest).with_domain_name(&longest);
    client.generate(&request, CALLBACK).await.unwrap();
}

#[tokio::test]
async fn every_submission_has_a_connection_of_its_own_and_questions_share_one() {
    let server = Server::start(|_, seen| {
        crate::server::Reply::ok(if seen.body.is_empty() { PENDING } else { TAKEN })
    })
    .await;
    let client = builder(&server.base).build().unwrap();
    for _ in 0..3 {
        client.generate(&request(), CALLBACK).await.unwrap();
    }
    assert_eq!(server.connections(), 3);
    for _ in 0..3 {
        client.details("task-1").await.unwrap();
    }
    assert_eq!(server.connections(), 4);
}
