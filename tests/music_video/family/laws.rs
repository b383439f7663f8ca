//! What holds for every callback of the family.

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_callback::music_video::{Cover, Lyrics, Midi, Music, VocalSeparation, Wav};

use super::*;

fn url() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z:/.]{1,8}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!(""))
    ]
}

/// The members of `data` of any product, complete or not.
fn data() -> impl Strategy<Value = Value> {
    let stage = prop::sample::select(vec!["text", "first", "complete", "error", "new"]);
    let track = (url(), url()).prop_map(|(a, t)| json!({"audio_url": a, "title": t}));
    let tracks = proptest::collection::vec(track, 0..3);
    let texts = proptest::collection::vec(url().prop_map(|t| json!({"text": t})), 0..3);
    prop_oneof![
        url().prop_map(|url| json!({"video_url": url})),
        url().prop_map(|url| json!({"audioWavUrl": url})),
        url().prop_map(|url| json!({"vocal_removal_info": {"vocal_url": url}})),
        proptest::collection::vec(url(), 0..3).prop_map(|urls| json!({"images": urls})),
        url().prop_map(|name| json!({"state": "complete", "instruments": [{"name": name}]})),
        (stage.clone(), tracks).prop_map(|(s, t)| json!({"callbackType": s, "data": t})),
        (stage.clone(), texts).prop_map(|(s, t)| json!({"callbackType": s, "data": t})),
        stage.prop_map(|stage| json!({"callbackType": stage, "data": null})),
        url().prop_map(|url| json!({"resultUrl": url})),
    ]
}

/// A callback, with its id in one of four places, and any order of members.
fn callback() -> impl Strategy<Value = (String, i64, Value)> {
    let code = prop::sample::select(vec![200, 0, 400, 451, 500, -1]);
    ("[a-z0-9]{1,8}", code, data(), any::<[bool; 3]>()).prop_map(
        |(id, code, mut data, [root, camel, text])| {
            let name = if camel { "taskId" } else { "task_id" };
            let mut body = json!({"msg": "m"});
            body["code"] = if text {
                json!(code.to_string())
            } else {
                json!(code)
            };
            let place = if root { &mut body } else { &mut data };
            place[name] = json!(id);
            body["data"] = data;
            (id, code, body)
        },
    )
}

proptest! {
    #[test]
    fn keys_follow_one_rule_whatever_the_product((id, code, body) in callback()) {
        if let Ok(event) = parse_as::<AnyCallback>(body.to_string()) {
            let success = matches!(code, 200 | 0);
            let expected = match body["data"]["callbackType"].as_str() {
                Some(stage @ ("text" | "first" | "new")) if success => (format!("{id}/{stage}"), 1),
                _ => (id.clone(), u16::from(success)),
            };
            prop_assert_eq!(key(&event), expected);
            prop_assert_eq!(event.subject(), Some(&*id));
        }
    }

    #[test]
    fn a_failure_is_read_whatever_else_is_there((id, code, body) in callback()) {
        prop_assume!(!matches!(code, 200 | 0));
        let event: AnyCallback = read(body.to_string());
        prop_assert_eq!(key(&event), (id, 0));
    }

    #[test]
    fn what_is_recognised_is_what_its_own_type_reads((_, _, body) in callback()) {
        let body = body.to_string();
        match parse_as::<AnyCallback>(&body) {
            Ok(AnyCallback::MusicVideo(event)) => prop_assert_eq!(super::super::read(&body), event),
            Ok(AnyCallback::Music(event)) => prop_assert_eq!(read::<Music>(&body), event),
            Ok(AnyCallback::Lyrics(event)) => prop_assert_eq!(read::<Lyrics>(&body), event),
            Ok(AnyCallback::Wav(event)) => prop_assert_eq!(read::<Wav>(&body), event),
            Ok(AnyCallback::VocalSeparation(event)) => {
                prop_assert_eq!(read::<VocalSeparation>(&body), event);
            }
            Ok(AnyCallback::Cover(event)) => prop_assert_eq!(read::<Cover>(&body), event),
            Ok(AnyCallback::Midi(event)) => prop_assert_eq!(read::<Midi>(&body), event),
            Ok(AnyCallback::Unknown(event)) => prop_assert_eq!(event.json, body),
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.kind(), ParseErrorKind::Unprocessable),
        }
    }

    #[test]
    fn any_bytes_are_refused_as_not_json_exactly_when_they_are_not(
        start in 0..400_usize,
        patch in proptest::collection::vec(any::<u8>(), 0..3),
        sample in prop::sample::select(vec![MUSIC, LYRICS, WAV, VOCALS, COVER, MIDI, MUSIC_FAILED]),
    ) {
        let mut body = sample.as_bytes().to_vec();
        let start = start.min(body.len());
        let end = (start + patch.len()).min(body.len());
        body.splice(start..end, patch);
        let is_json = std::str::from_utf8(&body)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        match parse_as::<AnyCallback>(&body) {
            Ok(_) => prop_assert!(is_json),
            Err(error) => prop_assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json),
        }
    }
}
