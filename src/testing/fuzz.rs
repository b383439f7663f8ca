//! Laws of an event.

use std::{borrow::Cow, time::UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::event::{Callback, Event, ParseError};

/// Checks the laws of an [`Event`] on one input, in a fuzz target of one line:
/// `fuzz_target!(|body: &[u8]| tower_callback::testing::fuzz_event::<OrderPaid>(body));`
///
/// - [`parse`](Event::parse) and [`key`](Event::key) do not panic,
/// - they give the same answer for the same callback,
/// - [`subject`](Event::subject) does too,
/// - [`identify`](Event::identify) says what these say.
///
/// The input is the body. Of an event that reads [headers](Event::HEADERS), the input begins with their
/// values, each in a line of its own and in their order, and the body is what follows them. An empty
/// line, and one that can be no header's value, leaves its header out.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_event<E: Event>(input: &[u8]) {
    let (headers, body) = headers_and_body(E::HEADERS, input);
    let callback = Callback::new(body, UNIX_EPOCH, &headers);
    let said = |error: ParseError| (error.kind(), error.to_string());
    let read = || {
        let event = E::parse(&callback).map_err(said)?;
        Ok((event.key(), event.subject().map(str::to_owned)))
    };
    let (first, second) = (read(), read());
    assert_eq!(
        first, second,
        "the event is read differently the second time"
    );
    let identity = E::identify(&callback).map_err(said).map(|identity| {
        let (key, subject) = identity.into_parts();
        (key, subject.map(Cow::into_owned))
    });
    assert_eq!(identity, first, "the event is identified differently");
}

/// Takes the values of headers from the front of an input.
fn headers_and_body<'a>(names: &[&str], mut input: &'a [u8]) -> (HeaderMap, &'a [u8]) {
    let mut headers = HeaderMap::new();
    for name in names {
        let (line, rest) = match input.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&input[..end], &input[end + 1..]),
            None => (input, &[][..]),
        };
        input = rest;
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(line);
        if let (Ok(name), Ok(value), false) = (name, value, line.is_empty()) {
            headers.append(name, value);
        }
    }
    (headers, input)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::event::{EventKey, Identity, InvalidKey};

    struct Steady;

    impl Event for Steady {
        fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
            callback.json::<String>().map(|_| Self)
        }
        fn key(&self) -> Result<EventKey, InvalidKey> {
            EventKey::new("steady")
        }
    }

    struct Moody;

    impl Event for Moody {
        fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
            Ok(Self)
        }
        fn key(&self) -> Result<EventKey, InvalidKey> {
            static CALLS: AtomicU32 = AtomicU32::new(0);
            EventKey::new(CALLS.fetch_add(1, Ordering::Relaxed).to_string())
        }
    }

    #[test]
    fn an_event_that_is_read_alike_twice_passes_whatever_the_input() {
        for body in [&b"\"a\""[..], b"1", b"", b"\xff"] {
            fuzz_event::<Steady>(body);
        }
    }

    #[test]
    #[should_panic(expected = "read differently")]
    fn a_key_that_changes_is_found() {
        fuzz_event::<Moody>(b"");
    }

    struct Mistaken<const OF: usize>;

    impl<const OF: usize> Event for Mistaken<OF> {
        fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
            Steady::parse(callback).map(|_| Self)
        }
        fn key(&self) -> Result<EventKey, InvalidKey> {
            EventKey::new("key")
        }
        fn subject(&self) -> Option<&str> {
            Some("subject")
        }
        fn identify<'a>(callback: &Callback<'a>) -> Result<Identity<'a>, ParseError> {
            let [mut key, mut subject, mut reads] = ["key", "subject", "reads"];
            *[&mut key, &mut subject, &mut reads][OF] = "other";
            if reads == "reads" {
                Steady::parse(callback)?;
            }
            Ok(Identity::new(EventKey::new(key)).with_subject(Some(subject)))
        }
    }

    #[test]
    #[should_panic(expected = "identified differently")]
    fn another_key_than_that_of_the_event_is_found() {
        fuzz_event::<Mistaken<0>>(b"\"a\"");
    }

    #[test]
    #[should_panic(expected = "identified differently")]
    fn another_subject_than_that_of_the_event_is_found() {
        fuzz_event::<Mistaken<1>>(b"\"a\"");
    }

    #[test]
    #[should_panic(expected = "identified differently")]
    fn an_identity_where_there_is_no_event_is_found() {
        fuzz_event::<Mistaken<2>>(b"1");
    }

    struct Labelled;

    impl Event for Labelled {
        const HEADERS: &'static [&'static str] = &["webhook-id", "webhook-kind"];

        fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
            let header = |name: &str| callback.headers().get(name).map(HeaderValue::as_bytes);
            match (
                header("webhook-id"),
                header("webhook-kind"),
                callback.body(),
            ) {
                (Some(b"7"), Some(b"paid"), b"body\n2") => panic!("all three were read"),
                (None, Some(b"\xff"), b"") => panic!("the second alone was read"),
                _ => Err(ParseError::unprocessable("something is missing")),
            }
        }
        fn key(&self) -> Result<EventKey, InvalidKey> {
            EventKey::new("labelled")
        }
    }

    #[test]
    #[should_panic(expected = "all three were read")]
    fn the_headers_that_an_event_reads_come_from_the_input_before_the_body() {
        fuzz_event::<Labelled>(b"7\npaid\nbody\n2");
    }

    #[test]
    #[should_panic(expected = "the second alone was read")]
    fn a_header_can_be_missing_and_the_body_empty() {
        fuzz_event::<Labelled>(b"\n\xff");
    }

    #[test]
    fn what_can_be_no_headers_value_leaves_it_out() {
        for input in [&b""[..], b"\n", b"\0\n\x7f\nbody", b"7\n\nbody\n2"] {
            fuzz_event::<Labelled>(input);
        }
        let (headers, body) = headers_and_body(Labelled::HEADERS, b"\0\n7\nbody");
        assert_eq!((headers.len(), body), (1, &b"body"[..]));
        assert_eq!(headers_and_body(&[], b"7\nbody").1, b"7\nbody");
    }
}
