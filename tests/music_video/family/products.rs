//! Each product by itself.

use tower_callback::{
    Event,
    music_video::{Cover, Failure, Lyrics, Midi, Music, MusicStage, VocalSeparation, Wav},
};

use super::*;

#[test]
fn the_documented_samples_are_read() {
    let music: Music = read(MUSIC);
    assert_eq!((&*music.task_id, music.code), ("2fac9f72", 200));
    assert_eq!(music.msg, "All generated successfully.");
    let tracks = music.outcome.unwrap();
    assert_eq!(tracks.stage, MusicStage::Complete);
    let [track] = &*tracks.tracks else {
        panic!("{tracks:?}")
    };
    let texts = [
        (&track.id, "8551662c"),
        (&track.audio_url, "https://example.cn/a.mp3"),
        (&track.stream_audio_url, "https://example.cn/a"),
        (&track.image_url, "https://example.cn/a.jpeg"),
        (&track.prompt, "[Verse] Night city lights"),
        (&track.model_name, "chirp-v3-5"),
        (&track.title, "Iron Man"),
        (&track.tags, "electrifying, rock"),
        (&track.create_time, "2025-01-01 00:00:00"),
    ];
    for (member, text) in texts {
        assert_eq!(member.as_deref(), Some(text));
    }
    assert_eq!(track.duration, Some(198.44));

    let music: Music = read(MUSIC_FAILED);
    assert_eq!((&*music.task_id, music.code), ("2fac9f72", 400));
    assert_eq!(music.msg, "Music generation failed");
    assert_eq!(music.outcome, Err(Failure::BadRequest));

    let lyrics: Lyrics = read(LYRICS_FAILED);
    assert_eq!((&*lyrics.task_id, lyrics.code), ("11dc8b0f", 400));
    assert_eq!(lyrics.msg, "Lyrics generation failed");
    assert_eq!(lyrics.outcome, Err(Failure::BadRequest));

    let wav: Wav = read(WAV);
    assert_eq!((&*wav.task_id, wav.code), ("988ec8d3", 200));
    assert_eq!(
        wav.outcome.as_deref(),
        Ok("https://example.com/s/04e6e727.wav")
    );
    let wav: Wav = read(WAV_FAILED);
    assert_eq!(wav.msg, "WAV format conversion failed");
    assert_eq!(wav.outcome, Err(Failure::BadRequest));

    let vocals: VocalSeparation = read(VOCALS_FAILED);
    assert_eq!(vocals.task_id, "5e72d367bdfbe447");
    assert_eq!(vocals.outcome, Err(Failure::BadRequest));

    let cover: Cover = read(COVER);
    assert_eq!(cover.task_id, "21aee3c3c2a01fa5");
    assert_eq!(
        cover.outcome,
        Ok(vec!["https://example.com/1.png".to_owned()])
    );
    let cover: Cover = read(COVER_FAILED);
    assert_eq!(cover.outcome, Err(Failure::Other(501)));

    let midi: Midi = read(MIDI);
    assert_eq!(midi.task_id, "5c79be8e");
    let score = midi.outcome.unwrap();
    assert_eq!(score.state.as_deref(), Some("complete"));
    assert_eq!(score.instruments, []);
}

#[test]
fn lyrics_are_read_in_all_their_versions() {
    let versions = read::<Lyrics>(LYRICS).outcome.unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0].text.as_deref(), Some("[Verse]"));
    assert_eq!(versions[0].title.as_deref(), Some("Iron Man"));
    assert_eq!(versions[0].error_message, None, "an empty text is none");
    assert_eq!(versions[1].text, None);
    assert_eq!(versions[1].status.as_deref(), Some("failed"));
    assert_eq!(versions[1].error_message.as_deref(), Some("no"));
}

#[test]
fn stems_are_read_and_the_rest_of_them_is_kept_as_json() {
    let stems = read::<VocalSeparation>(VOCALS).outcome.unwrap();
    assert_eq!(stems.vocal_url.as_deref(), Some("v"));
    assert_eq!(stems.instrumental_url.as_deref(), Some("i"));
    let json: serde_json::Value = serde_json::from_str(&stems.json).unwrap();
    assert_eq!(json["drums_url"], "d");
}

#[test]
fn notes_have_numbers_as_numbers_or_as_text() {
    let midi: Midi = read(
        r#"{"code":"200","data":{"taskId":"t","instruments":[{"name":"Drums","notes":[{"pitch":73,"start":"0.25","end":1e999,"velocity":1}]},{}]}}"#,
    );
    let instruments = midi.outcome.unwrap().instruments;
    assert_eq!(instruments[0].name.as_deref(), Some("Drums"));
    let note = instruments[0].notes[0];
    assert_eq!((note.pitch, note.start), (Some(73.0), Some(0.25)));
    assert_eq!((note.end, note.velocity), (None, Some(1.0)));
    assert_eq!(instruments[1].name, None);
    assert!(instruments[1].notes.is_empty());
}

fn music(code: &str, stage: &str, tracks: &str) -> String {
    format!(
        r#"{{"code":{code},"data":{{"task_id":"t","callbackType":"{stage}","data":{tracks}}}}}"#
    )
}

#[test]
fn stages_on_the_way_have_keys_of_their_own_and_the_end_has_the_tasks() {
    let track = r#"[{"audio_url":"u"}]"#;
    let keyed = |code, stage| key(&read::<Music>(music(code, stage, track)));
    assert_eq!(keyed("200", "text"), ("t/text".to_owned(), 1));
    assert_eq!(keyed("200", "first"), ("t/first".to_owned(), 1));
    assert_eq!(keyed("0", "complete"), ("t".to_owned(), 1));
    for stage in ["text", "first", "complete", "error", "other"] {
        assert_eq!(keyed("500", stage), ("t".to_owned(), 0), "{stage}");
    }
    assert_eq!(
        read::<Music>(music("200", "first", track)).subject(),
        Some("t"),
        "the id is what a proof signs, not the key"
    );
}

#[test]
fn stages_on_the_way_may_have_no_audio_yet_and_the_end_may_not() {
    for tracks in ["null", "[]", "[{}]", r#"[{"audio_url":""}]"#] {
        for (stage, expected) in [("text", MusicStage::Text), ("first", MusicStage::First)] {
            let event: Music = read(music("200", stage, tracks));
            assert_eq!(event.outcome.unwrap().stage, expected);
        }
        assert_unprocessable::<Music>(music("200", "complete", tracks));
    }
    let event: Music = read(music("200", "complete", r#"[{},{"audio_url":"u"}]"#));
    assert_eq!(event.outcome.unwrap().tracks.len(), 2);
}

#[test]
fn a_success_of_no_known_stage_is_unprocessable() {
    for stage in ["error", "other", "", "Complete"] {
        assert_unprocessable::<Music>(music("200", stage, r#"[{"audio_url":"u"}]"#));
    }
    assert_unprocessable::<Music>(
        r#"{"code":200,"data":{"task_id":"t","data":[{"audio_url":"u"}]}}"#,
    );
}

#[test]
fn what_a_track_lacks_or_has_of_another_type_is_none() {
    let event: Music = read(music(
        "200",
        "complete",
        r#"[{"audio_url":"u","id":7,"title":null,"tags":["a"],"duration":"1.5","createTime":1735661400000,"new":{}}]"#,
    ));
    let track = &event.outcome.unwrap().tracks[0];
    assert_eq!(
        (&track.id, &track.title, &track.tags),
        (&None, &None, &None)
    );
    assert_eq!(track.duration, Some(1.5));
    assert_eq!(track.create_time.as_deref(), Some("1735661400000"));
}

#[test]
fn lists_of_other_things_are_unprocessable_where_they_are_the_result() {
    for list in [
        "7",
        "{}",
        r#""x""#,
        "[7]",
        "[[]]",
        r#"[{"audio_url":"u"},null]"#,
    ] {
        assert_unprocessable::<Music>(music("200", "complete", list));
        read::<Music>(music("500", "complete", list));
    }
    for images in ["null", "[]", "7", "[7]", r#"[""]"#, r#"["u",null]"#] {
        assert_unprocessable::<Cover>(format!(
            r#"{{"code":200,"task_id":"t","data":{{"images":{images}}}}}"#
        ));
    }
    for instruments in ["null", "7", "[7]", r#"[{"notes":7}]"#, r#"[{"notes":[7]}]"#] {
        assert_unprocessable::<Midi>(format!(
            r#"{{"code":200,"task_id":"t","data":{{"instruments":{instruments}}}}}"#
        ));
    }
    for info in ["null", "[]", r#""u""#] {
        assert_unprocessable::<VocalSeparation>(format!(
            r#"{{"code":200,"task_id":"t","data":{{"vocal_removal_info":{info}}}}}"#
        ));
    }
    for texts in ["null", "[]", "[7]", r#"[{"text":""}]"#] {
        assert_unprocessable::<Lyrics>(music("200", "complete", texts));
    }
    for url in ["null", r#""""#, "7"] {
        assert_unprocessable::<Wav>(format!(
            r#"{{"code":200,"task_id":"t","data":{{"audioWavUrl":{url}}}}}"#
        ));
    }
}

#[test]
fn members_given_twice_are_unprocessable_in_every_place_that_is_read() {
    assert_unprocessable::<Wav>(
        r#"{"code":400,"data":{"task_id":"t","audioWavUrl":null,"audioWavUrl":null}}"#,
    );
    assert_unprocessable::<Music>(
        r#"{"code":400,"data":{"task_id":"t","callbackType":"error","callbackType":"error"}}"#,
    );
    let twice = r#"[{"audio_url":"u","id":"a","id":"a"}]"#;
    assert_unprocessable::<Music>(music("200", "complete", twice));
    let twice = r#"[{"text":"u","title":"a","title":"a"}]"#;
    assert_unprocessable::<Lyrics>(music("200", "complete", twice));
    read::<Wav>(r#"{"code":400,"data":{"task_id":"t","x":1,"x":2}}"#);
}

/// The tolerance of the envelope, for all.
fn is_tolerant<E: Event>() {
    for body in [
        r#"{"code":400,"data":{"task_id":"t"}}"#,
        r#"{"code":"400","data":{"taskId":"t"}}"#,
        r#"{"code":400,"task_id":"t","data":null}"#,
        r#"{"data":[],"taskId":"t","x":{"code":200},"code":400}"#,
        r#"{"code":400,"task_id":"t","data":{"taskId":"t","new":[1e999]}}"#,
    ] {
        let event: E = read(body);
        assert_eq!(event.subject(), Some("t"), "{body}");
        assert_eq!(key(&event), ("t".to_owned(), 0), "{body}");
    }
    for body in [
        r#"{"code":400,"data":null}"#,
        r#"{"code":400,"task_id":"t","data":{"task_id":"u"}}"#,
        r#"{"code":400,"task_id":"t","task_id":"t"}"#,
        r#"{"code":400,"code":400,"task_id":"t"}"#,
        r#"{"code":2.5,"task_id":"t"}"#,
        r#"{"task_id":"t"}"#,
        "[]",
    ] {
        assert_unprocessable::<E>(body);
    }
    assert!(parse_as::<E>("{").is_err());
}

#[test]
fn every_product_has_the_tolerance_of_a_music_video() {
    is_tolerant::<tower_callback::MusicVideo>();
    is_tolerant::<Music>();
    is_tolerant::<Lyrics>();
    is_tolerant::<Wav>();
    is_tolerant::<VocalSeparation>();
    is_tolerant::<Cover>();
    is_tolerant::<Midi>();
    is_tolerant::<AnyCallback>();
}
