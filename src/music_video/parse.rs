//! From a callback's body to the event, in one pass over borrowed text.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Failure, MusicVideo, Outcome, event::is_success};
use crate::event::{ParseError, json};

pub(super) fn parse(body: &[u8]) -> Result<MusicVideo, ParseError> {
    let text = json::text(body)?;
    members(text)
        .and_then(Members::into_event)
        .map_err(|reason| json::unreadable(text, reason))
}

/// The task's id in a callback, also in one that is no event but for its id. None where two readers
/// could find two.
pub(super) fn task_id(body: &[u8]) -> Option<String> {
    let members = members(json::text(body).ok()?).ok()?;
    if members.repeated_id {
        return None;
    }
    members.task_id().ok().map(Cow::into_owned)
}

/// Why a JSON text is not this event. Without a word of what it says, since it is traced.
type Reason = &'static str;

/// The members that are read, as they stand in the text.
///
/// Each is kept raw, so that a megabyte of digits or half a surrogate pair matters only where its
/// value does.
#[derive(Default)]
struct Members<'a> {
    code: Option<&'a RawValue>,
    msg: Option<&'a RawValue>,
    /// `task_id` and `taskId` of the root, then of `data`.
    ids: [Option<&'a RawValue>; 4],
    video_url: Option<&'a RawValue>,
    has_data: bool,
    repeated: bool,
    /// Whether one of those that are repeated holds an id.
    repeated_id: bool,
}

fn members(text: &str) -> Result<Members<'_>, Reason> {
    let mut members = Members::default();
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Object {
        members: &mut members,
        place: Place::Root,
    })
    .and_then(|()| json.end())
    .map_err(|_| "it is no JSON object that can be read")?;
    Ok(members)
}

impl Members<'_> {
    fn into_event(self) -> Result<MusicVideo, Reason> {
        if self.repeated {
            return Err("a member that is read is given twice");
        }
        let code = self.code.and_then(integer).ok_or("no usable code")?;
        let task_id = self.task_id()?.into_owned();
        let outcome = if is_success(code) {
            let video_url = self.video_url.and_then(string);
            let video_url = video_url.filter(|url| !url.is_empty());
            Outcome::Succeeded {
                video_url: video_url
                    .ok_or("a success without a video_url")?
                    .into_owned(),
            }
        } else {
            Outcome::Failed(Failure::of(code))
        };
        Ok(MusicVideo {
            task_id,
            code,
            msg: self.msg.and_then(string).unwrap_or_default().into_owned(),
            outcome,
        })
    }

    /// The one id, however often it is given.
    fn task_id(&self) -> Result<Cow<'_, str>, Reason> {
        let mut one = None;
        for id in self.ids.into_iter().flatten() {
            if id.get() == "null" {
                continue;
            }
            let id = string(id).ok_or("a task id that is no text")?;
            match &one {
                Some(other) if *other != id => return Err("task ids that differ"),
                _ => one = Some(id),
            }
        }
        one.filter(|id| !id.is_empty()).ok_or("no task id")
    }
}

#[derive(Clone, Copy)]
enum Place {
    Root,
    Data,
}

/// Puts what an object holds into its members.
struct Object<'m, 'a> {
    members: &'m mut Members<'a>,
    place: Place,
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let members = self.members;
        while let Some(name) = map.next_key::<&RawValue>()? {
            let name = string(name);
            let slot = match (self.place, name.as_deref()) {
                (Place::Root, Some("code")) => &mut members.code,
                (Place::Root, Some("msg")) => &mut members.msg,
                (Place::Root, Some("task_id")) => &mut members.ids[0],
                (Place::Root, Some("taskId")) => &mut members.ids[1],
                (Place::Data, Some("task_id")) => &mut members.ids[2],
                (Place::Data, Some("taskId")) => &mut members.ids[3],
                (Place::Data, Some("video_url")) => &mut members.video_url,
                (Place::Root, Some("data")) if !members.has_data => {
                    members.has_data = true;
                    map.next_value_seed(Object {
                        members,
                        place: Place::Data,
                    })?;
                    continue;
                }
                (Place::Root, Some("data")) => {
                    members.repeated = true;
                    members.repeated_id = true;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                members.repeated = true;
                members.repeated_id |= matches!(name.as_deref(), Some("task_id" | "taskId"));
            }
        }
        Ok(())
    }

    // A `data` of any other type holds nothing.

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The value as text, if it is a string without half a surrogate pair.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The value as an integer, given as a number or as text.
fn integer(raw: &RawValue) -> Option<i64> {
    match string(raw) {
        Some(text) => text.parse().ok(),
        None => raw.get().parse().ok(),
    }
}
