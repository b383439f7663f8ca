//! `POST /api/v1/mp4/generate`.

use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Body, envelope, refusal},
    connection::HangUp,
    fate::Answering,
    world::{Submission, World},
};
use crate::testing::provider::Target;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    task_id: Option<String>,
    audio_id: Option<String>,
    call_back_url: Option<String>,
    author: Option<String>,
    domain_name: Option<String>,
}

/// The most characters of `author` and of `domainName`.
const LONGEST: usize = 50;

pub(super) async fn generate(world: &World, body: &[u8]) -> Result<Response<Body>, HangUp> {
    let Ok(request) = serde_json::from_slice::<Request>(body) else {
        return Ok(refusal(400));
    };
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (Some(music_task_id), Some(audio_id), Some(callback_url)) = (
        given(request.task_id),
        given(request.audio_id),
        given(request.call_back_url),
    ) else {
        return Ok(refusal(422));
    };
    let too_long = |text: &String| text.chars().count() > LONGEST;
    if [request.author, request.domain_name]
        .iter()
        .flatten()
        .any(too_long)
    {
        return Ok(refusal(413));
    }
    let target = match Target::parse(&callback_url) {
        Ok(target) => target,
        // It says why, and does not repeat the URL.
        Err(error) => return Ok(envelope(422, &format!("callBackUrl: {error}"), Value::Null)),
    };
    let clock = &world.settings.clock;
    let arrived = clock.now();
    match world.submit(music_task_id, audio_id, callback_url, target) {
        Submission::Refused(code) => Ok(refusal(code)),
        Submission::Exists(task_id) => {
            let data = json!({ "taskId": &*task_id });
            Ok(envelope(409, "The video record already exists", data))
        }
        Submission::Submitted(task_id, answering) => {
            match answering {
                Answering::AtOnce => {}
                Answering::Late(late) => clock.sleep_until(arrived + late).await,
                Answering::Cut => return Err(HangUp),
                Answering::Error => return Ok(refusal(500)),
            }
            Ok(envelope(200, "success", json!({ "taskId": &*task_id })))
        }
    }
}
