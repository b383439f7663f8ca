//! From an event to the JSON of a callback.

use bytes::Bytes;
use serde::Serialize;

use super::{MusicVideo, Outcome, event::is_success};

#[derive(Serialize)]
struct Envelope<'a> {
    code: i64,
    msg: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    task_id: &'a str,
    video_url: Option<&'a str>,
}

/// The event's code, unless the outcome says something else.
fn code(event: &MusicVideo) -> i64 {
    match event.outcome {
        Outcome::Succeeded { .. } if is_success(event.code) => event.code,
        Outcome::Succeeded { .. } => 200,
        Outcome::Failed(failure) => failure.code(),
    }
}

pub(super) fn encode(event: &MusicVideo) -> Bytes {
    let envelope = Envelope {
        code: code(event),
        msg: &event.msg,
        data: Data {
            task_id: &event.task_id,
            video_url: match &event.outcome {
                Outcome::Succeeded { video_url } => Some(video_url),
                Outcome::Failed(_) => None,
            },
        },
    };
    serde_json::to_vec(&envelope)
        .expect("strings and integers always serialize")
        .into()
}
