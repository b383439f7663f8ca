//! Any body, read as a music video callback.

use std::{fmt, time::SystemTime};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
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
    bounded_memory(body);
    any_order(body);
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

/// A body costs a few times its own length in memory, however it is built.
fn bounded_memory(body: &[u8]) {
    let measured = allocation_counter::measure(|| drop(parse(body)));
    let bound = 8 * body.len() as u64 + 4096;
    assert!(
        measured.bytes_total <= bound,
        "{measured:?} for {} bytes",
        body.len(),
    );
}

/// The order of members changes nothing.
fn any_order(body: &[u8]) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Ok(mut members) = serde_json::from_slice::<Members>(body) else {
        return;
    };
    let of = |members: &Members| parse(members.to_string().as_bytes()).map_err(|e| e.kind());
    let before = parse(body).map_err(|error| error.kind());
    members.0.reverse();
    assert_eq!(of(&members), before, "the members backwards");
    for (name, value) in &mut members.0 {
        if name == "data"
            && let Ok(mut inner) = serde_json::from_str::<Members>(value.get())
        {
            inner.0.reverse();
            *value = RawValue::from_string(inner.to_string()).expect("JSON");
        }
    }
    assert_eq!(of(&members), before, "the members of `data` backwards too");
}

/// The members of an object as they stand there, repeated ones too.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let name = serde_json::to_string(name).expect("a string is JSON");
            write!(f, "{comma}{name}:{value}")?;
        }
        f.write_str("}")
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
