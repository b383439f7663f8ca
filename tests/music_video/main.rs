//! The provider's event: what is read, what is refused, and the laws of both.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod family;
mod key;
mod laws;
mod reads;
mod refuses;

use std::time::SystemTime;

use http::HeaderMap;
use tower_callback::{
    Callback, Event,
    event::{ParseError, ParseErrorKind},
    music_video::{MusicVideo, Outcome},
};

fn parse_as<E: Event>(body: impl AsRef<[u8]>) -> Result<E, ParseError> {
    let headers = HeaderMap::new();
    E::parse(&Callback::new(
        body.as_ref(),
        SystemTime::UNIX_EPOCH,
        &headers,
    ))
}

fn parse(body: impl AsRef<[u8]>) -> Result<MusicVideo, ParseError> {
    parse_as(body)
}

#[track_caller]
fn read(body: impl AsRef<[u8]>) -> MusicVideo {
    parse(body).unwrap()
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>) -> ParseErrorKind {
    parse(body).unwrap_err().kind()
}

#[track_caller]
fn assert_unprocessable(body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    match parse(body) {
        Ok(event) => panic!("{shown} was read as {event:?}"),
        Err(error) => assert_eq!(error.kind(), ParseErrorKind::Unprocessable, "{shown}"),
    }
}

/// A failure with these members beside `code` in the root, and these in `data`.
fn failure(root: &str, data: &str) -> String {
    let root = if root.is_empty() {
        String::new()
    } else {
        format!("{root},")
    };
    format!(r#"{{{root}"code":400,"msg":"m","data":{{{data}}}}}"#)
}

fn success(video_url: &str) -> String {
    format!(r#"{{"code":200,"msg":"m","data":{{"task_id":"t"{video_url}}}}}"#)
}

fn url(event: &MusicVideo) -> &str {
    match &event.outcome {
        Outcome::Succeeded { video_url } => video_url,
        failed @ Outcome::Failed(_) => panic!("{failed:?}"),
    }
}
