//! What one writes by hand on hyper: a token, serde, and a map of ids under one lock.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::RECEIVED;
use crate::payload::SECRET;

const LIMIT: usize = 2 * 1024 * 1024;

/// What was received.
pub(crate) type Seen = Arc<Mutex<HashMap<String, ()>>>;

#[derive(Deserialize)]
pub(crate) struct Callback {
    #[expect(dead_code, reason = "read, as a receiver would")]
    pub(crate) code: i64,
    #[expect(dead_code, reason = "read, as a receiver would")]
    pub(crate) msg: String,
    pub(crate) data: Data,
}

#[derive(Deserialize)]
pub(crate) struct Data {
    pub(crate) task_id: String,
    #[expect(dead_code, reason = "read, as a receiver would")]
    pub(crate) video_url: Option<String>,
}

/// Notes an id. A repeat is received just the same.
pub(crate) fn note(seen: &Seen, callback: Callback) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert(callback.data.task_id, ());
}

/// Whether the query holds the token.
pub(crate) fn is_proven(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| pair.strip_prefix("token=") == Some(SECRET))
}

pub(crate) async fn answer(
    seen: Seen,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !is_proven(request.uri().query()) {
        return Ok(reply(StatusCode::UNAUTHORIZED, b""));
    }
    let Ok(body) = Limited::new(request.into_body(), LIMIT).collect().await else {
        return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, b""));
    };
    let Ok(callback) = serde_json::from_slice::<Callback>(&body.to_bytes()) else {
        return Ok(reply(StatusCode::BAD_REQUEST, b""));
    };
    note(&seen, callback);
    Ok(reply(StatusCode::OK, RECEIVED))
}

pub(crate) fn reply(status: StatusCode, body: &'static [u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body)));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}
