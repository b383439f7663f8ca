//! `GET /api/v1/mp4/record-info?taskId=…`.

use std::time::SystemTime;

use http::Response;
use serde_json::{Value, json};

use super::{
    answer::{Body, envelope, refusal},
    fate::DetailsMishap,
    times,
    world::{Task, World},
};

pub(super) async fn details(world: &World, query: &str) -> Response<Body> {
    let task_id = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("taskId="))
        .filter(|task_id| !task_id.is_empty());
    let Some(task_id) = task_id else {
        return refusal(422);
    };
    let clock = &world.settings.clock;
    let now = clock.now();
    let mishap = world.with_task(task_id, |task| {
        task.details_calls += 1;
        let known = task.is_known(now);
        known.then(|| task.fate.details.pop_front()).flatten()
    });
    match mishap.flatten() {
        Some(DetailsMishap::Refused(code)) => return refusal(code),
        Some(DetailsMishap::Slow(slow)) => clock.sleep_until(now + slow).await,
        None => {}
    }
    let now = clock.now();
    let record = world.with_task(task_id, |task| {
        task.is_known(now)
            .then(|| record(task, &world.base_url, now))
    });
    match record.flatten() {
        Some(record) => envelope(200, "success", record),
        None => envelope(
            world.settings.unknown_code,
            "Record does not exist",
            Value::Null,
        ),
    }
}

fn record(task: &mut Task, base_url: &str, now: SystemTime) -> Value {
    let ended = task.ended();
    let has_ended = now >= ended + task.fate.behind;
    let failure = task.fate.failure.as_ref().filter(|_| has_ended);
    let flag = match failure {
        _ if !has_ended => "PENDING",
        Some(failure) => failure.flag,
        None if task.is_exception() => "CALLBACK_EXCEPTION",
        None => "SUCCESS",
    };
    let (error_code, error_message) = (failure.map(|it| it.code), failure.map(|it| &*it.msg));
    let time = if task.fate.text_times {
        times::text
    } else {
        times::millis
    };
    let mut record = json!({
        "taskId": &*task.fate.task_id,
        "musicId": task.fate.music_id,
        "callbackUrl": task.callback_url,
        "audioId": task.audio_id,
        "completeTime": has_ended.then(|| time(ended)),
        "response": null,
        "successFlag": flag,
        "createTime": time(task.created),
        "errorCode": error_code,
        "errorMessage": error_message,
    });
    if has_ended && failure.is_none() {
        record["response"] = json!({ "videoUrl": task.url(base_url, now) });
    }
    record
}
