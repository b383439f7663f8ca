//! One callback, as an event sees it.

use std::time::SystemTime;

use http::HeaderMap;
use serde::Deserialize;

use super::ParseError;

/// One callback as an [`Event`](super::Event) sees it: the body, the arrival time, and only the
/// headers that the event [lists](super::Event::HEADERS).
///
/// Never the URI, which may hold the secret. The front and the worker read the same view.
#[derive(Clone, Copy, Debug)]
pub struct Callback<'a> {
    body: &'a [u8],
    arrived: SystemTime,
    headers: &'a HeaderMap,
}

impl<'a> Callback<'a> {
    /// A view of a body, with the headers that the event lists.
    pub fn new(body: &'a [u8], arrived: SystemTime, headers: &'a HeaderMap) -> Self {
        Self {
            body,
            arrived,
            headers,
        }
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When the request's head arrived, on the clock of the endpoint.
    pub fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// The listed headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Syntax`](super::ParseErrorKind::Syntax) when the body is not JSON, is not UTF-8, or nests
    /// deeper than 128 levels in a part that `T` reads;
    /// [`Unprocessable`](super::ParseErrorKind::Unprocessable) when it is JSON and not a `T`.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, ParseError> {
        serde_json::from_slice(self.body).map_err(|error| {
            if error.is_data() {
                ParseError::unprocessable(error)
            } else {
                ParseError::syntax(error)
            }
        })
    }
}

/// The headers of a request that an event lists, all values of each.
pub(crate) fn listed_headers(all: &HeaderMap, listed: &[&str]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in listed {
        for value in all.get_all(*name) {
            if let Ok(name) = http::HeaderName::from_bytes(name.as_bytes()) {
                kept.append(name, value.clone());
            }
        }
    }
    kept
}
