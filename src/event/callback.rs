//! One callback, as an event sees it.

use std::{fmt, time::SystemTime};

use http::HeaderMap;
use serde::Deserialize;

use super::{ParseError, json};

/// One callback as an [`Event`](super::Event) sees it: the body, the arrival time, and only the
/// headers that the event [lists](super::Event::HEADERS).
///
/// Never the URI, which may hold the secret. The front and the worker read the same view.
#[derive(Clone, Copy)]
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

    /// Reads the body as JSON. A byte order mark in front is passed over.
    ///
    /// # Errors
    ///
    /// [`Syntax`](super::ParseErrorKind::Syntax) when the body is not JSON, or not UTF-8;
    /// [`Unprocessable`](super::ParseErrorKind::Unprocessable) when it is JSON and not a `T`, or
    /// nests deeper than 128 levels in a part that `T` reads. The error says where, and quotes
    /// nothing of the body.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, ParseError> {
        let text = json::text(self.body)?;
        serde_json::from_str(text).map_err(|error| json::unreadable(text, json::wording(&error)))
    }
}

/// Without the body and the headers' values, which may hold what no log should.
impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("arrived", &self.arrived)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ParseErrorKind::{Syntax, Unprocessable};

    #[derive(Debug, Deserialize)]
    struct Paid {
        cents: u64,
        #[serde(rename = "note")]
        _note: Option<serde_json::Value>,
    }

    fn read(body: &[u8]) -> Result<Paid, ParseError> {
        Callback::new(body, SystemTime::UNIX_EPOCH, &HeaderMap::new()).json()
    }

    #[test]
    fn a_serde_type_is_read_from_json() {
        assert_eq!(read(br#"{"cents":7,"x":1}"#).unwrap().cents, 7);
        assert_eq!(read(b"\xef\xbb\xbf{\"cents\":7}").unwrap().cents, 7);
    }

    #[test]
    fn only_what_is_not_json_is_a_syntax_error() {
        for body in [
            b"".as_slice(),
            b"cents=7",
            b"{\"cents\":\"text\"",
            b"{\"cents\":7}x",
            b"{\"cents\":7,\"x\":\"\xff\"}",
        ] {
            assert_eq!(read(body).unwrap_err().kind(), Syntax, "{body:?}");
        }
        let deep = format!(
            r#"{{"cents":7,"note":{}{}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        );
        for body in [
            "{}",
            "[]",
            r#"{"cents":1e999}"#,
            r#"{"cents":"7"}"#,
            r#"{"cents":7,"note":"\ud800"}"#,
            r#"{"cents":7,"cents":7}"#,
            &deep,
        ] {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Unprocessable, "{body}");
        }
    }

    #[test]
    fn the_error_says_where_and_quotes_nothing() {
        let error = read(br#"{"cents":"hunter2"}"#).unwrap_err();
        assert!(error.to_string().contains("line 1 column 18"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = read(br#"{"hunter2":7}"#).unwrap_err();
        assert!(
            error.to_string().contains("missing field `cents`"),
            "{error}"
        );
    }
}
