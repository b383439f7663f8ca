//! The key, the subject, and what is encoded.

use tower_callback::{
    Event,
    event::InvalidKey,
    music_video::{Failure, MusicVideo, Outcome},
};

use super::{failure, read};

#[test]
fn the_key_is_the_task_and_a_success_outranks_a_failure() {
    let failed = MusicVideo::failed("t", 500, "m");
    let succeeded = MusicVideo::succeeded("t", "u");
    assert_eq!(failed.key().unwrap().as_str(), "t");
    assert_eq!(failed.key().unwrap().rank(), 0);
    assert_eq!(succeeded.key().unwrap().as_str(), "t");
    assert_eq!(succeeded.key().unwrap().rank(), 1);
    assert_eq!(succeeded.subject(), Some("t"));
}

#[test]
fn an_overlong_or_controlling_id_is_refused_by_its_key() {
    let event = |id: &str| read(failure("", &format!(r#""task_id":"{id}""#)));
    assert!(event(&"x".repeat(255)).key().is_ok());
    assert_eq!(event(&"x".repeat(256)).key(), Err(InvalidKey::TooLong));
    for control in [r"a\u0000b", r"a\n", r"\u007f", r"\u0085"] {
        assert_eq!(event(control).key(), Err(InvalidKey::ControlCharacter));
    }
}

#[test]
fn a_failure_is_never_made_with_a_code_of_success() {
    for code in [200, 0] {
        let event = MusicVideo::failed("t", code, "m");
        assert_eq!(event.outcome, Outcome::Failed(Failure::ServerError));
        assert_eq!(read(event.encode()), event);
    }
}

#[test]
fn what_is_encoded_is_what_the_provider_would_have_sent() {
    assert_eq!(
        MusicVideo::succeeded("t", "u").encode(),
        r#"{"code":200,"msg":"success","data":{"task_id":"t","video_url":"u"}}"#
    );
    assert_eq!(
        MusicVideo::failed("t", 451, "m").encode(),
        r#"{"code":451,"msg":"m","data":{"task_id":"t","video_url":null}}"#
    );
}
