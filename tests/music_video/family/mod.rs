//! The other products: what is read of each, and how any of them is recognised.

mod any;
mod laws;
mod products;

use tower_callback::{
    Event,
    event::ParseErrorKind,
    music_video::{AnyCallback, Failure},
};

use super::parse_as;

/// The samples that the provider documents, in the order in which they stand there.
const MUSIC: &str = r#"{"code":200,"msg":"All generated successfully.","data":{"callbackType":"complete","task_id":"2fac9f72","data":[{"id":"8551662c","audio_url":"https://example.cn/a.mp3","stream_audio_url":"https://example.cn/a","image_url":"https://example.cn/a.jpeg","prompt":"[Verse] Night city lights","model_name":"chirp-v3-5","title":"Iron Man","tags":"electrifying, rock","createTime":"2025-01-01 00:00:00","duration":198.44}]}}"#;
const MUSIC_FAILED: &str = r#"{"code":400,"msg":"Music generation failed","data":{"callbackType":"error","task_id":"2fac9f72","data":null}}"#;
const LYRICS_FAILED: &str = r#"{"code":400,"msg":"Lyrics generation failed","data":{"callbackType":"error","taskId":"11dc8b0f","data":null}}"#;
const WAV: &str = r#"{"code":200,"msg":"success","data":{"audioWavUrl":"https://example.com/s/04e6e727.wav","task_id":"988ec8d3"}}"#;
const WAV_FAILED: &str = r#"{"code":400,"msg":"WAV format conversion failed","data":{"audioWavUrl":null,"task_id":"988ec8d3"}}"#;
const VOCALS_FAILED: &str = r#"{"code":400,"msg":"Vocal separation failed","data":{"task_id":"5e72d367bdfbe447","vocal_removal_info":null}}"#;
const COVER: &str = r#"{"code":200,"msg":"success","data":{"images":["https://example.com/1.png"],"taskId":"21aee3c3c2a01fa5"}}"#;
const COVER_FAILED: &str = r#"{"code":501,"msg":"Cover generation failed","data":{"taskId":"21aee3c3c2a01fa5","images":null}}"#;
const MIDI: &str = r#"{"task_id":"5c79be8e","code":200,"msg":"success","data":{"state":"complete","instruments":[]}}"#;

/// Successes of which only the failure is among the samples.
const LYRICS: &str = r#"{"code":200,"msg":"m","data":{"callbackType":"complete","taskId":"11dc8b0f","data":[{"text":"[Verse]","title":"Iron Man","status":"complete","errorMessage":""},{"text":"","title":"","status":"failed","error_message":"no"}]}}"#;
const VOCALS: &str = r#"{"code":200,"msg":"m","data":{"task_id":"5e72d367bdfbe447","vocal_removal_info":{"instrumental_url":"i","vocal_url":"v","origin_url":"","drums_url":"d"}}}"#;

#[track_caller]
fn read<E: Event>(body: impl AsRef<[u8]>) -> E {
    parse_as(body).unwrap()
}

#[track_caller]
fn assert_unprocessable<E: Event>(body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(body);
    match parse_as::<E>(body) {
        Ok(_) => panic!("{shown} was read"),
        Err(error) => assert_eq!(error.kind(), ParseErrorKind::Unprocessable, "{shown}"),
    }
}

/// The key and the rank.
#[track_caller]
fn key(event: &impl Event) -> (String, u16) {
    let key = event.key().unwrap();
    (key.as_str().to_owned(), key.rank())
}

#[track_caller]
fn recognise(body: impl AsRef<[u8]>) -> AnyCallback {
    read(body)
}

fn failed(task_id: &str, code: i64, msg: &str) -> AnyCallback {
    AnyCallback::MusicOrLyrics {
        task_id: task_id.to_owned(),
        code,
        msg: msg.to_owned(),
        failure: match code {
            400 => Failure::BadRequest,
            other => Failure::Other(other),
        },
    }
}
