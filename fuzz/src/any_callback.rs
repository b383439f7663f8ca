//! Any body, read as any callback of the provider.

use std::time::SystemTime;

use tower_callback::{
    Callback, Event,
    event::{ParseError, ParseErrorKind},
    music_video::{AnyCallback, Cover, Lyrics, Midi, Music, MusicVideo, VocalSeparation, Wav},
    testing::fuzz_event,
};

use crate::json;

/// Holds the laws of any callback of the provider against one body.
///
/// # Panics
///
/// When a law is broken.
pub fn any_callback(body: &[u8]) {
    fuzz_event::<AnyCallback>(body);
    json::linear(body, |body| drop(parse::<AnyCallback>(body)));
    any_order(body);
    match parse::<AnyCallback>(body) {
        Err(error) => {
            // 400 is for what is not JSON, and for nothing else.
            let is_json = json::text(body).is_some();
            assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json);
        }
        Ok(event) => {
            let text = json::text(body).expect("what is read is JSON");
            assert!(!event.task_id().is_empty());
            assert_eq!(event.subject(), Some(event.task_id()));
            own_type(&event, body);
            end_or_stage(&event);

            // What nobody reads changes nothing, but for what is kept whole.
            let wider = json::wider(text, r#"[{"images":[],"code":0}]"#);
            let again = parse::<AnyCallback>(wider.as_bytes()).expect("a wider body is read");
            assert_eq!(again.key(), event.key());
            match (event, again) {
                (AnyCallback::Unknown(kept), AnyCallback::Unknown(again)) => {
                    assert_eq!(kept.json, text);
                    assert_eq!(again.json, wider);
                }
                (event, again) => assert_eq!(event, again),
            }
        }
    }
}

/// The order of members changes nothing, but for what is kept whole.
fn any_order(body: &[u8]) {
    let Some(backwards) = json::text(body).and_then(json::backwards) else {
        return;
    };
    let read = |body| parse::<AnyCallback>(body).map_err(|error| error.kind());
    match (read(body), read(backwards.as_bytes())) {
        (Ok(AnyCallback::Unknown(kept)), Ok(AnyCallback::Unknown(mut again))) => {
            assert_eq!(again.json, backwards);
            again.json.clone_from(&kept.json);
            assert_eq!(again, kept);
        }
        (before, again) => {
            let key = |event: &AnyCallback| event.key();
            assert_eq!(again.as_ref().map(key), before.as_ref().map(key));
            assert_eq!(again, before);
        }
    }
}

/// What is recognised is what its own type reads.
fn own_type(event: &AnyCallback, body: &[u8]) {
    match event {
        AnyCallback::MusicVideo(event) => {
            assert_eq!(parse::<MusicVideo>(body).ok().as_ref(), Some(event));
            // The one of them that is written as well.
            assert_eq!(
                &parse::<MusicVideo>(&event.encode()).expect("read back"),
                event
            );
        }
        AnyCallback::Music(event) => assert_eq!(parse::<Music>(body).ok().as_ref(), Some(event)),
        AnyCallback::Lyrics(event) => assert_eq!(parse::<Lyrics>(body).ok().as_ref(), Some(event)),
        AnyCallback::Wav(event) => assert_eq!(parse::<Wav>(body).ok().as_ref(), Some(event)),
        AnyCallback::VocalSeparation(event) => {
            assert_eq!(parse::<VocalSeparation>(body).ok().as_ref(), Some(event));
        }
        AnyCallback::Cover(event) => assert_eq!(parse::<Cover>(body).ok().as_ref(), Some(event)),
        AnyCallback::Midi(event) => assert_eq!(parse::<Midi>(body).ok().as_ref(), Some(event)),
        AnyCallback::MusicOrLyrics { task_id, .. } => {
            // It is both, and both see the same end.
            let music = parse::<Music>(body).expect("a failure of music");
            let lyrics = parse::<Lyrics>(body).expect("a failure of lyrics");
            assert_eq!((&music.task_id, &lyrics.task_id), (task_id, task_id));
            assert!(music.outcome.is_err() && lyrics.outcome.is_err());
            assert_eq!(music.key(), event.key());
        }
        _ => {}
    }
}

/// Every end has the task's id as its key, and no failure is a stage on the way.
fn end_or_stage(event: &AnyCallback) {
    let Ok(key) = event.key() else { return };
    match key.as_str().strip_prefix(event.task_id()) {
        Some("") => assert!(key.rank() <= 1),
        Some(stage) => {
            assert!(stage.starts_with('/') && stage.len() > 1);
            assert_eq!(key.rank(), 1);
            assert!(matches!(
                event,
                AnyCallback::Music(_) | AnyCallback::Unknown(_)
            ));
        }
        None => panic!("a key without the task's id"),
    }
}

fn parse<E: Event>(body: &[u8]) -> Result<E, ParseError> {
    let headers = http::HeaderMap::new();
    E::parse(&Callback::new(body, SystemTime::UNIX_EPOCH, &headers))
}
