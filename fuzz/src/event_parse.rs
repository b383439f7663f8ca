//! Any body, read as a music video callback.

use std::time::SystemTime;

use tower_callback::{
    Callback, Event, EventKey,
    event::{InvalidKey, ParseError, ParseErrorKind},
    music_video::{MusicVideo, Outcome},
    testing::fuzz_event,
};

use crate::json;

/// Holds the laws of a music video callback against one body.
///
/// # Panics
///
/// When a law is broken.
pub fn event_parse(body: &[u8]) {
    fuzz_event::<MusicVideo>(body);
    json::linear(body, |body| drop(parse(body)));
    any_order(body);
    match parse(body) {
        Err(error) => {
            // 400 is for what is not JSON, and for nothing else.
            let is_json = json::text(body).is_some();
            assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json);
        }
        Ok(event) => {
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
            let text = json::text(body).expect("what is read is JSON");
            let wider = json::wider(text, r#"[{"task_id":"y","code":0}]"#);
            assert_eq!(parse(wider.as_bytes()).ok().as_ref(), Some(&event));

            // What a poll inserts is what a callback would have brought.
            let again = parse(&event.encode()).expect("what is encoded is read back");
            assert_eq!(again, event);
            assert_eq!(key(&again), key(&event));
        }
    }
}

/// The order of members changes nothing.
fn any_order(body: &[u8]) {
    if let Some(backwards) = json::text(body).and_then(json::backwards) {
        let read = |body| parse(body).map_err(|error| error.kind());
        assert_eq!(read(backwards.as_bytes()), read(body), "backwards");
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
