//! Any body, read as a music video callback.

use std::time::SystemTime;

use serde::de::IgnoredAny;
use tower_callback::{
    Callback, Event, EventKey,
    event::{InvalidKey, ParseError, ParseErrorKind},
    music_video::{MusicVideo, Outcome},
    testing::fuzz_event,
};

/// Holds the laws of a music video callback against one body.
///
/// # Panics
///
/// When a law is broken.
pub fn event_parse(body: &[u8]) {
    fuzz_event::<MusicVideo>(body);
    let text = std::str::from_utf8(body).ok();
    let is_json = text.is_some_and(|text| {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    });
    match parse(body) {
        Err(error) => {
            // 400 is for what is not JSON, and for nothing else.
            assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json);
        }
        Ok(event) => {
            assert!(is_json);
            assert!(!event.task_id.is_empty());
            assert_eq!(event.subject(), Some(&*event.task_id));
            if let Outcome::Succeeded { video_url } = &event.outcome {
                assert!(!video_url.is_empty());
            }
            if let Ok((id, rank)) = key(&event) {
                assert_eq!(id, event.task_id);
                assert_eq!(
                    rank == 1,
                    matches!(event.outcome, Outcome::Succeeded { .. })
                );
            }
            // What nobody reads changes nothing.
            let text = text.expect("JSON is UTF-8");
            let wider = text.replacen('{', r#"{"x":[{"task_id":"y","code":0}],"#, 1);
            assert_eq!(parse(wider.as_bytes()).ok().as_ref(), Some(&event));

            // What a poll inserts is what a callback would have brought.
            let again = parse(&event.encode()).expect("what is encoded is read back");
            assert_eq!(again, event);
            assert_eq!(key(&again), key(&event));
        }
    }
}

fn parse(body: &[u8]) -> Result<MusicVideo, ParseError> {
    let headers = http::HeaderMap::new();
    MusicVideo::parse(&Callback::new(body, SystemTime::UNIX_EPOCH, &headers))
}

fn key(event: &MusicVideo) -> Result<(String, u16), InvalidKey> {
    event
        .key()
        .map(|key: EventKey| (key.as_str().to_owned(), key.rank()))
}
