//! The key and the callback URL are sent to the provider, and shown to nobody.

use std::{
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_callback::{
    Clock,
    music_video::{Client, ClientError},
};
use tracing::Level;

use crate::{
    CALLBACK, KEY, builder,
    capture::Capture,
    eager, never, request,
    server::{Reply, Server, raw},
};

/// In the key and in the callback URL.
const CANARY: &str = "sings-for-nobody";

/// All that an error shows of itself and of what is behind it.
fn shown(error: &ClientError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(" {source} {source:?}");
        next = source.source();
    }
    text
}

#[tokio::test]
async fn neither_key_nor_callback_url_is_in_any_error_trace_or_debug() {
    let capture = Capture::start(Level::TRACE);
    let echo = format!("the key {KEY} cannot call {CALLBACK}");
    let mut text = String::new();
    let answer = Arc::new(Mutex::new((0, String::new())));
    let server = Server::start({
        let (answer, echo) = (Arc::clone(&answer), echo.clone());
        move |n, _| {
            if n % 2 == 0 {
                return Reply::ok(r#"{"code":430}"#).header("x-echo", echo.clone());
            }
            let (status, body) = answer.lock().unwrap().clone();
            Reply::new(status, body).header("location", echo.clone())
        }
    });
    let server = server.await;
    let client = builder(&server.base)
        .with_retries(eager().with_total(Duration::from_millis(1)))
        .with_rate_limit(1_000_000, Duration::from_secs(1));
    text += &format!("{client:?} {client:#?}");
    let client = client.build().unwrap();
    text += &format!("{client:?} {client:#?}");
    for code in [
        0, 200, 400, 401, 402, 404, 405, 409, 413, 422, 429, 430, 455, 500, 777,
    ] {
        for status in [200, 401, 429, 500, 307] {
            for body in [
                format!(r#"{{"code":{code},"msg":"{echo}","data":{{"x":"{echo}"}}}}"#),
                format!(
                    r#"{{"code":{code},"msg":"{echo}","data":{{"taskId":"{echo}"}},"{echo}":1}}"#
                ),
                echo.clone(),
            ] {
                *answer.lock().unwrap() = (status, body);
                if let Err(error) = client.generate(&request(), CALLBACK).await {
                    text += &shown(&error);
                }
                if let Err(error) = client.details("task-1").await {
                    text += &shown(&error);
                }
            }
        }
    }
    for bytes in [
        format!("HTTP/1.1 200 {echo}\r\n{echo}: {echo}\r\n\r\n"),
        format!("{echo}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {echo}\r\n\r\n{echo}"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{echo}"),
    ] {
        let (base, _server) = raw(bytes.into_bytes()).await;
        let client = builder(&base).with_retries(never()).build().unwrap();
        text += &shown(&client.generate(&request(), CALLBACK).await.unwrap_err());
        text += &shown(&client.details("task-1").await.unwrap_err());
    }
    assert!(text.len() > 10_000);
    assert!(!text.contains(CANARY), "{text}");
    let traced = capture.text();
    assert!(traced.contains("asking the provider again"));
    assert!(!traced.contains(CANARY), "{traced}");
}

#[tokio::test]
async fn what_the_provider_says_is_there_for_whoever_asks() {
    let server = Server::always(200, r#"{"code":401,"msg":"wrong key \u00fc"}"#).await;
    let client = builder(&server.base).build().unwrap();
    let error = client.details("task-1").await.unwrap_err();
    assert_eq!(error.message(), Some("wrong key ü"));
    let server = Server::always(200, r#"{"code":401,"msg":""}"#).await;
    let client = builder(&server.base).build().unwrap();
    assert_eq!(client.details("task-1").await.unwrap_err().message(), None);
}

#[tokio::test]
async fn details_show_neither_the_callback_url_nor_what_quotes_it() {
    let body = format!(
        r#"{{"code":200,"data":{{"successFlag":"CALLBACK_EXCEPTION","callbackUrl":"{CALLBACK}","errorMessage":"no answer from {CALLBACK}"}}}}"#
    );
    let server = Server::start(move |_, _| Reply::ok(body.clone())).await;
    let client = builder(&server.base).build().unwrap();
    let details = client.details("task-1").await.unwrap().unwrap();
    assert!(details.error_message.as_ref().unwrap().contains(CANARY));
    let shown = format!("{details:?} {details:#?}");
    assert!(shown.contains("CallbackException"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn an_error_of_the_connection_does_not_name_the_task() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = builder(&base).with_retries(never()).build().unwrap();
    let error = client.details("the-task").await.unwrap_err();
    assert!(error.source().is_some());
    let shown = shown(&error);
    assert!(
        shown.contains(&format!("kind: {:?}", error.kind())),
        "{shown}"
    );
    assert!(!shown.contains("the-task"), "{shown}");
}

#[test]
fn a_client_shows_what_it_is_set_to_and_of_its_base_no_path() {
    let builder = Client::builder("https://example.com/a-path-with-a-token", KEY)
        .with_clock(Clock::scaled(60))
        .with_timeout(Duration::from_secs(7));
    let shown = format!("{builder:?}");
    assert!(shown.contains("scaled(60)") && shown.contains("7s"));
    assert!(!shown.contains("a-path") && !shown.contains(KEY));
    let client = builder.build().unwrap();
    let shown = format!("{client:?}");
    assert!(shown.contains("https://example.com") && shown.contains("20 per 10s"));
    assert!(shown.contains("scaled(60)") && !shown.contains("a-path"));
}
