//! Laws of an event.

use std::time::UNIX_EPOCH;

use http::HeaderMap;

use crate::event::{Callback, Event, ParseError};

/// Checks the laws of an [`Event`] on one input, in a fuzz target of one line:
/// `fuzz_target!(|body: &[u8]| tower_callback::testing::fuzz_event::<OrderPaid>(body));`
///
/// - [`parse`](Event::parse) and [`key`](Event::key) do not panic,
/// - they give the same answer for the same callback, whose header values are those of no request,
/// - [`subject`](Event::subject) does too.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_event<E: Event>(body: &[u8]) {
    let headers = HeaderMap::new();
    let read = || {
        let callback = Callback::new(body, UNIX_EPOCH, &headers);
        match E::parse(&callback) {
            Ok(event) => {
                let key = event.key().map_err(|invalid| invalid.to_string());
                Ok((key, event.subject().map(str::to_owned)))
            }
            Err(error) => Err((error.kind(), ParseError::to_string(&error))),
        }
    };
    let (first, second) = (read(), read());
    assert_eq!(
        first, second,
        "the event is read differently the second time"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::event::{EventKey, InvalidKey};

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
}
