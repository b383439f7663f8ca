//! How any callback is recognised.

use tower_callback::{Event, MusicVideo, music_video::UnknownCallback};

use super::*;

#[track_caller]
fn unknown(body: &str) -> UnknownCallback {
    match recognise(body) {
        AnyCallback::Unknown(unknown) => unknown,
        known => panic!("{body} was taken for {known:?}"),
    }
}

#[test]
fn the_documented_samples_are_recognised() {
    assert_eq!(recognise(MUSIC), AnyCallback::Music(read(MUSIC)));
    assert_eq!(recognise(LYRICS), AnyCallback::Lyrics(read(LYRICS)));
    for body in [WAV, WAV_FAILED] {
        assert_eq!(recognise(body), AnyCallback::Wav(read(body)));
    }
    for body in [VOCALS, VOCALS_FAILED] {
        assert_eq!(recognise(body), AnyCallback::VocalSeparation(read(body)));
    }
    for body in [COVER, COVER_FAILED] {
        assert_eq!(recognise(body), AnyCallback::Cover(read(body)));
    }
    assert_eq!(recognise(MIDI), AnyCallback::Midi(read(MIDI)));
    for video in [
        MusicVideo::succeeded("t", "video_url_847715e66259"),
        MusicVideo::failed("t", 400, "m"),
    ] {
        assert_eq!(recognise(video.encode()), AnyCallback::MusicVideo(video));
    }
}

#[test]
fn failures_of_music_and_of_lyrics_are_told_apart_by_nothing_but_their_lists() {
    assert_eq!(
        recognise(MUSIC_FAILED),
        failed("2fac9f72", 400, "Music generation failed")
    );
    assert_eq!(
        recognise(LYRICS_FAILED),
        failed("11dc8b0f", 400, "Lyrics generation failed")
    );
    assert_eq!(
        recognise(r#"{"code":501,"task_id":"t","data":{"callbackType":"complete"}}"#),
        failed("t", 501, "")
    );
    let music = MUSIC.replacen("200", "400", 1);
    assert_eq!(recognise(&music), AnyCallback::Music(read(&music)));
    let lyrics = LYRICS.replacen("200", "400", 1);
    assert_eq!(recognise(&lyrics), AnyCallback::Lyrics(read(&lyrics)));
    assert_eq!(key(&recognise(MUSIC_FAILED)), ("2fac9f72".to_owned(), 0));
    assert_eq!(key(&recognise(MUSIC)), ("2fac9f72".to_owned(), 1));
}

#[test]
fn a_video_url_is_a_music_video_only_where_it_stands_alone() {
    for beside in [
        r#""callbackType":"complete""#,
        r#""callbackType":null"#,
        r#""image_url":"i""#,
        r#""video_id":"v""#,
        r#""images":[]"#,
        r#""data":null"#,
    ] {
        for code in [200, 400] {
            let body = format!(
                r#"{{"code":{code},"msg":"m","data":{{"task_id":"t",{beside},"video_url":"u"}}}}"#
            );
            let event = unknown(&body);
            assert_eq!((&*event.task_id, event.code, &*event.msg), ("t", code, "m"));
            assert_eq!(event.json, body);
        }
    }
    let body =
        r#"{"code":200,"x":1,"taskId":"t","data":{"taskId":"t","task_id":"t","video_url":"u"}}"#;
    assert_eq!(
        recognise(body),
        AnyCallback::MusicVideo(super::super::read(body))
    );
}

#[test]
fn two_products_in_one_callback_are_none() {
    unknown(r#"{"code":200,"task_id":"t","data":{"images":["u"],"audioWavUrl":"u"}}"#);
    unknown(r#"{"code":200,"task_id":"t","data":{"callbackType":"complete","instruments":[]}}"#);
    unknown(
        r#"{"code":200,"task_id":"t","data":{"callbackType":"complete","data":[{"text":"x","audio_url":"u"}]}}"#,
    );
    unknown(
        r#"{"code":200,"task_id":"t","data":{"callbackType":"complete","data":[{"text":"x"},{"audio_url":"u"}]}}"#,
    );
}

#[test]
fn what_has_no_shape_is_kept_whole() {
    for data in [
        "null",
        "[]",
        "7",
        r#"{"resultUrls":["u"]}"#,
        r#"{"callbackType":"progress","data":[{"audio_url":"u"}]}"#,
        r#"{"callbackType":"complete","data":[]}"#,
        r#"{"callbackType":"complete","data":{"a":1}}"#,
        r#"{"callbackType":"complete","data":[7]}"#,
        r#"{"callbackType":"text","data":[{"text":"x"}]}"#,
    ] {
        let body = format!(r#"{{"code":200,"task_id":"t","data":{data}, "n":1e999}}"#);
        assert_eq!(unknown(&body).json, body);
    }
    unknown(r#"{"code":500,"task_id":"t","data":{"callbackType":"error","new":1}}"#);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    unknown(&format!(
        r#"{{"code":200,"task_id":"t","data":{{"x":{deep}}}}}"#
    ));
    unknown(&format!(
        r#"{{"code":200,"task_id":"t","data":{{"callbackType":"complete","data":{deep}}}}}"#
    ));
    let marked = format!("\u{feff}{MIDI}").replace("instruments", "drums");
    assert_eq!(unknown(&marked).json, marked.trim_start_matches('\u{feff}'));
}

#[test]
fn what_is_recognised_and_refused_by_its_type_is_refused() {
    for body in [
        r#"{"code":200,"task_id":"t","data":{"video_url":null}}"#,
        r#"{"code":200,"task_id":"t","data":{"audioWavUrl":""}}"#,
        r#"{"code":200,"task_id":"t","data":{"images":[]}}"#,
        r#"{"code":200,"task_id":"t","data":{"instruments":null}}"#,
        r#"{"code":200,"task_id":"t","data":{"vocal_removal_info":null}}"#,
        r#"{"code":200,"task_id":"t","data":{"callbackType":"complete","data":[{"prompt":"p"}]}}"#,
        r#"{"code":400,"task_id":"t","data":{"images":null,"images":null}}"#,
        r#"{"code":400,"data":{"images":null}}"#,
    ] {
        assert_unprocessable::<AnyCallback>(body);
    }
}

#[test]
fn the_key_of_an_unknown_callback_follows_the_rule_of_the_known_ones() {
    let keyed = |code: i64, stage: &str| {
        key(&recognise(format!(
            r#"{{"code":{code},"task_id":"t","data":{{"callbackType":{stage},"new":1}}}}"#
        )))
    };
    for (stage, expected) in [
        (r#""text""#, "t/text"),
        (r#""lyrics""#, "t/lyrics"),
        (r#""complete""#, "t"),
        (r#""error""#, "t"),
        ("null", "t"),
        (r#""""#, "t"),
        ("7", "t"),
    ] {
        assert_eq!(keyed(200, stage), (expected.to_owned(), 1), "{stage}");
        assert_eq!(keyed(500, stage), ("t".to_owned(), 0), "{stage}");
    }
    let control = r#"{"code":200,"task_id":"t","data":{"callbackType":"a\u0000","new":1}}"#;
    assert!(recognise(control).key().is_err());
}

#[test]
fn debug_does_not_show_the_json_of_an_unknown_callback() {
    let event = recognise(r#"{"code":200,"task_id":"t","data":{"x":"hunter2"}}"#);
    let shown = format!("{event:?}");
    assert!(shown.contains("UnknownCallback") && shown.contains("bytes"));
    assert!(!shown.contains("hunter2"));
}
