//! From the body of an answer to what it says.

use std::{
    borrow::Cow,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::value::RawValue;

use super::{Details, Generated, ProviderTime, Status};
use crate::{
    event::{EventKey, json},
    music_video::{
        event::is_success,
        parse::{self, Envelope, Members, Reason},
    },
    verify::parse_time,
};

/// An answer that can be read.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// What was asked for.
    Given(T),
    /// Another code than success.
    Refused { code: i64, message: String },
}

/// An answer that cannot be read, in what, and the code if at least that can be.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) reason: Reason,
    pub(super) code: Option<i64>,
}

/// Reads the answer to a submission.
pub(super) fn generated(body: &[u8]) -> Result<Answer<Generated>, Unreadable> {
    let (envelope, code, message) = envelope(body, [])?;
    let taken = |existing| {
        let task_id = usable_id(&envelope).map_err(at(code))?;
        let task_id = task_id.into_owned();
        Ok(Answer::Given(Generated { task_id, existing }))
    };
    match code {
        409 => taken(true),
        code if is_success(code) => taken(false),
        code => Ok(Answer::Refused { code, message }),
    }
}

/// Reads what is known of a task. Nothing, if the provider does not know it.
pub(super) fn details(body: &[u8], asked: &str) -> Result<Answer<Option<Details>>, Unreadable> {
    let names = [
        "successFlag",
        "response",
        "errorCode",
        "errorMessage",
        "audioId",
        "musicId",
        "createTime",
        "completeTime",
    ];
    let (envelope, code, message) = envelope(body, names)?;
    match code {
        // The id is all that was asked with: nothing else can be wrong with it, or not be found.
        404 | 422 if envelope.is_empty => Ok(Answer::Given(None)),
        code if !is_success(code) => Ok(Answer::Refused { code, message }),
        _ if envelope.is_empty => Ok(Answer::Given(None)),
        code => of_task(envelope, asked)
            .map(|details| Answer::Given(Some(details)))
            .map_err(at(code)),
    }
}

/// The submission in an answer, if that is what it says.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_generated(body: &[u8]) -> Option<Generated> {
    match generated(body) {
        Ok(Answer::Given(generated)) => Some(generated),
        _ => None,
    }
}

/// The task in an answer, whichever it is, if that is what it says.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_details(body: &[u8]) -> Option<Details> {
    let asked = parse::task_id(body).unwrap_or_else(|| "unnamed".to_owned());
    match details(body, &asked) {
        Ok(Answer::Given(details)) => details,
        _ => None,
    }
}

fn of_task(envelope: Envelope<'_, 8>, asked: &str) -> Result<Details, Reason> {
    if envelope.names_task() && usable_id(&envelope)? != asked {
        return Err("it is about another task");
    }
    let members = envelope.data.once()?;
    let [
        flag,
        response,
        error_code,
        error_message,
        audio_id,
        music_id,
        created,
        completed,
    ] = members;
    let flag = given(flag).ok_or("no successFlag")?;
    // A sibling's other products number their flags.
    let flag = parse::string(flag).unwrap_or(Cow::Borrowed(flag.get()));
    let response = response.filter(|response| parse::is_object(response));
    let response = response.map_or("{}", RawValue::get);
    let urls = Members::of(response, ["videoUrl", "video_url"])?.once()?;
    Ok(Details {
        task_id: asked.to_owned(),
        status: Status::of(&flag),
        video_url: urls.into_iter().find_map(parse::text),
        error_code: error_code.and_then(parse::integer),
        error_message: parse::text(error_message),
        audio_id: parse::text(audio_id),
        music_id: parse::text(music_id),
        created: created.and_then(time),
        completed: completed.and_then(time),
    })
}

type Opened<'a, const N: usize> = (Envelope<'a, N>, i64, String);

fn envelope<'a, const N: usize>(
    body: &'a [u8],
    names: [&str; N],
) -> Result<Opened<'a, N>, Unreadable> {
    let unreadable = |reason| Unreadable { reason, code: None };
    let text = json::text(body).map_err(|_| unreadable("it is not UTF-8"))?;
    let envelope = Envelope::of(text, names).map_err(unreadable)?;
    let (code, message) = envelope.code_and_msg().map_err(unreadable)?;
    Ok((envelope, code, message.into_owned()))
}

fn at(code: i64) -> impl Fn(Reason) -> Unreadable {
    move |reason| Unreadable {
        reason,
        code: Some(code),
    }
}

/// The one id, if it can be the key of an event.
fn usable_id<'a, const N: usize>(envelope: &Envelope<'a, N>) -> Result<Cow<'a, str>, Reason> {
    let id = envelope.task_id()?;
    match EventKey::new(&id) {
        Ok(_) => Ok(id),
        Err(_) => Err("a task id that is too long or has control characters"),
    }
}

fn given(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// Epoch milliseconds, or a date and time of day.
fn time(raw: &RawValue) -> Option<ProviderTime> {
    if let Some(millis) = parse::integer(raw) {
        let millis = Duration::from_millis(u64::try_from(millis).ok()?);
        return UNIX_EPOCH.checked_add(millis).map(ProviderTime::Exact);
    }
    let text = parse::string(raw)?;
    if let Some(time) = parse_time(&text) {
        return Some(ProviderTime::Exact(time));
    }
    parse_time(&format!("{}Z", text.replacen(' ', "T", 1)))
        .map(|_| ProviderTime::Local(text.into_owned()))
}
