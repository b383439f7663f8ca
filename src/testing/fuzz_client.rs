//! Laws of what the client reads.

use std::{collections::BTreeMap, time::UNIX_EPOCH};

use http::HeaderMap;
use serde_json::value::RawValue;

use crate::{
    event::{Callback, Event, EventKey},
    music_video::{MusicVideo, any_details, any_generated},
};

/// Checks the laws of an answer to [`Client::details`](crate::music_video::Client::details) on one
/// input, which is the answer's body:
///
/// - it is read without a panic, and alike each time,
/// - a member that nobody reads, and the order of all of them, change nothing,
/// - the [event](crate::music_video::Details::event) of a task that has ended can be stored: what it
///   encodes to is read as the same event, with the same key and rank.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_details(input: &[u8]) {
    let details = any_details(input);
    assert_eq!(details, any_details(input), "read differently");
    for same in changed_in_nothing(input).filter(|_| details.is_some()) {
        assert_eq!(details, any_details(same.as_bytes()), "{same}");
    }
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
/// - a member that nobody reads, and the order of all of them, change nothing,
/// - the id of the task that was taken can be the key of its event.
///
/// # Panics
///
/// When a law is broken.
pub fn fuzz_generated(input: &[u8]) {
    let generated = any_generated(input);
    assert_eq!(generated, any_generated(input), "read differently");
    if let Some(generated) = generated {
        for same in changed_in_nothing(input) {
            let again = any_generated(same.as_bytes());
            assert_eq!(again.as_ref(), Some(&generated), "{same}");
        }
        EventKey::new(&generated.task_id).expect("the id of a task is the key of its event");
    }
}

/// An answer that is read, with a member more, and with its members sorted.
fn changed_in_nothing(input: &[u8]) -> impl Iterator<Item = String> {
    let text = std::str::from_utf8(input).unwrap_or_default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wider = text.replacen('{', r#"{"x":[{"data":null,"code":500}],"#, 1);
    [wider, sorted(text)].into_iter()
}

/// The members of every object in the order of their names. One that is repeated is one that nobody
/// reads, and stands there once.
fn sorted(text: &str) -> String {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
        return text.to_owned();
    };
    let members = members.into_iter().map(|(name, value)| {
        let name = serde_json::Value::from(name);
        format!("{name}:{}", sorted(value.get()))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLES: [&str; 4] = [
        r#"{"code":200,"msg":"success","data":{"taskId":"taskId_774b9aa0422f","musicId":"audioId_0295980ec02e","callbackUrl":"https://api.example.com/callback","audioId":"e231cadc7dc","completeTime":1735661400000,"response":{"videoUrl":"https://example.com/videos/video_847715e66259.mp4"},"successFlag":"SUCCESS","createTime":1735661400000,"errorCode":null,"errorMessage":null}}"#,
        r#"{"code":0,"data":{"task_id":"t\u00fc","response":null,"successFlag":"GENERATE_MP4_FAILED","createTime":"2025-01-01 00:10:00","errorCode":"451","errorMessage":"no \"audio\""}}"#,
        r#"{"code":409,"msg":"exists","data":{"taskId":"t"}}"#,
        r#"{"code":422,"msg":"Record does not exist","data":null}"#,
    ];

    proptest! {
        #[test]
        fn whatever_the_samples_are_turned_into_keeps_the_laws(
            sample in 0..SAMPLES.len(),
            edits in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..4_u8), 0..4),
        ) {
            let mut body = SAMPLES[sample].as_bytes().to_vec();
            for (at, byte, edit) in edits {
                let at = at % (body.len() + 1);
                match edit {
                    0 if at < body.len() => body[at] = byte,
                    1 if at < body.len() => drop(body.remove(at)),
                    2 => body.insert(at, b"\"{}[],:\\0"[usize::from(byte) % 9]),
                    _ => body.truncate(at),
                }
            }
            fuzz_details(&body);
            fuzz_generated(&body);
        }

        #[test]
        fn any_words_in_any_place_keep_the_laws(
            id in ".*",
            flag in prop_oneof!["SUCCESS", "CALLBACK_EXCEPTION", "GENERATE_MP4_FAILED", ".*"],
            url in ".*",
            words in ".*",
            code in any::<i64>(),
        ) {
            let data = serde_json::json!({
                "taskId": id, "successFlag": flag, "response": {"videoUrl": url},
                "errorMessage": words, "errorCode": code,
            });
            let body = serde_json::json!({"code": 200, "data": data}).to_string();
            fuzz_details(body.as_bytes());
            fuzz_generated(body.as_bytes());
        }
    }

    #[test]
    fn the_samples_are_read_as_what_the_laws_are_about() {
        let ended = |sample: &str| any_details(sample.as_bytes())?.event();
        assert!(ended(SAMPLES[0]).is_some() && ended(SAMPLES[1]).is_some());
        assert!(any_generated(SAMPLES[2].as_bytes()).is_some());
        assert!(any_details(SAMPLES[3].as_bytes()).is_none());
    }
}
