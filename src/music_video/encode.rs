//! From an event to the JSON of a callback.

use bytes::Bytes;
use serde::Serialize;

use super::{MusicVideo, Outcome};

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

pub(super) fn encode(event: &MusicVideo) -> Bytes {
    let envelope = Envelope {
        code: event.code,
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
