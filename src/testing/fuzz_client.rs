//! Laws of what the client reads.

use std::time::UNIX_EPOCH;

use http::HeaderMap;

use crate::{
    event::{Callback, Event, EventKey},
    music_video::{MusicVideo, any_details, any_generated},
};

/// Checks the laws of an answer to [`Client::details`](crate::music_video::Client::details) on one
/// input, which is the answer's body:
///
/// - it is read without a panic, and alike each time,
/// - the [event](crate::music_video::Details::event) of a task that has ended can be stored: what it
///   encodes to is read as the same event, with the same key and rank.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_details(input: &[u8]) {
    let details = any_details(input);
    assert_eq!(details, any_details(input), "read differently");
    let Some(event) = details.and_then(|details| details.event()) else {
        return;
    };
    let body = event.encode();
    let headers = HeaderMap::new();
    let again = MusicVideo::parse(&Callback::new(&body, UNIX_EPOCH, &headers));
    let again = again.expect("what an event encodes to is read");
    assert_eq!(again, event, "encoded as another event");
    let key = event.key().expect("a task that was asked for has a key");
    assert_eq!(again.key(), Ok(key));
}

/// Checks the laws of an answer to [`Client::generate`](crate::music_video::Client::generate) on one
/// input, which is the answer's body:
///
/// - it is read without a panic, and alike each time,
/// - the id of the task that was taken can be the key of its event.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_generated(input: &[u8]) {
    let generated = any_generated(input);
    assert_eq!(generated, any_generated(input), "read differently");
    if let Some(generated) = generated {
        EventKey::new(&generated.task_id).expect("the id of a task is the key of its event");
    }
}
