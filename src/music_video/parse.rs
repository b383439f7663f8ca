//! From a callback's body to what it says of one task, over borrowed text.

mod plain;

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use self::plain::{Head, Said};
use super::{Failure, event::is_success};
use crate::event::{ParseError, json};

/// Why a JSON text is not this event. Without a word of what it says, since it is traced.
pub(super) type Reason = &'static str;

/// What every callback says of its task.
pub(super) struct Report<'a, T> {
    pub(super) task_id: Cow<'a, str>,
    pub(super) code: i64,
    pub(super) msg: Cow<'a, str>,
    pub(super) outcome: Result<T, Failure>,
}

/// Reads a callback. Where its code means success, `success` makes something of those members of its
/// `data` that have these names.
pub(super) fn report<'a, T, const N: usize>(
    body: &'a [u8],
    names: [&str; N],
    success: impl FnOnce([Option<&'a RawValue>; N]) -> Result<T, Reason>,
) -> Result<Report<'a, T>, ParseError> {
    let text = json::text(body)?;
    let read = || {
        let plain = plain::read(text, names);
        debug_assert!(
            plain
                .as_ref()
                .is_none_or(|said| agree(said, &tolerant(text, names))),
            "two ways of reading one callback find two events in it"
        );
        let ((task_id, code, msg), members) = match plain {
            Some(said) => said,
            None => tolerant(text, names)?,
        };
        let outcome = if is_success(code) {
            Ok(success(members)?)
        } else {
            Err(Failure::of(code))
        };
        Ok(Report {
            task_id,
            code,
            msg,
            outcome,
        })
    };
    read().map_err(|reason: Reason| json::unreadable(text, reason))
}

/// What a callback says, whatever is odd about it.
fn tolerant<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Result<Said<'a, N>, Reason> {
    let envelope = Envelope::of(text, names)?;
    Ok((envelope.head()?, envelope.data.once()?))
}

/// Whether both ways of reading a callback find the same in it.
fn agree<const N: usize>(plain: &Said<'_, N>, tolerant: &Result<Said<'_, N>, Reason>) -> bool {
    let texts = |said: &Said<'_, N>| said.1.map(|member| member.map(|raw| raw.get().to_owned()));
    match tolerant {
        Ok(said) => plain.0 == said.0 && texts(plain) == texts(said),
        Err(_) => false,
    }
}

/// The task's id in a callback, also in one that is no event but for its id. None where two readers
/// could find two.
pub(super) fn task_id(body: &[u8]) -> Option<String> {
    let envelope = Envelope::of(json::text(body).ok()?, []).ok()?;
    if envelope.repeated_id {
        return None;
    }
    envelope.task_id().ok().map(Cow::into_owned)
}

/// What every callback has, around the members of `data` that only one product has.
pub(super) struct Envelope<'a, const N: usize> {
    code: Option<&'a RawValue>,
    msg: Option<&'a RawValue>,
    /// `task_id` and `taskId` of the root, then of `data`.
    ids: [Option<&'a RawValue>; 4],
    /// Of a `data` that is an object: any other holds nothing.
    pub(super) data: Members<'a, N>,
    /// Whether there is no `data`, or nothing in it: `null`, or an empty list.
    #[cfg(feature = "client")]
    pub(super) is_empty: bool,
    repeated: bool,
    /// Whether one of those that are repeated holds an id.
    repeated_id: bool,
}

impl<'a, const N: usize> Envelope<'a, N> {
    pub(super) fn of(text: &'a str, names: [&str; N]) -> Result<Self, Reason> {
        let root = Members::of(text, ["code", "msg", "data"])?;
        let [code, msg, data] = root.values;
        #[cfg(feature = "client")]
        let is_empty = data.is_none_or(is_empty);
        let data = data.filter(|data| is_object(data));
        let data = Members::of(data.map_or("{}", RawValue::get), names)?;
        let [twice_code, twice_msg, twice_data] = root.repeated;
        let repeated_id = root.repeated_id || data.repeated_id || twice_data;
        let ([root_id, root_camel_id], [id, camel_id]) = (root.ids, data.ids);
        Ok(Self {
            code,
            msg,
            ids: [root_id, root_camel_id, id, camel_id],
            data,
            #[cfg(feature = "client")]
            is_empty,
            repeated: repeated_id || twice_code || twice_msg,
            repeated_id,
        })
    }

    /// The task's id, the code, and the words.
    pub(super) fn head(&self) -> Result<Head<'a>, Reason> {
        let (code, msg) = self.code_and_msg()?;
        let task_id = self.task_id()?;
        Ok((task_id, code, msg))
    }

    /// The code and the words.
    pub(super) fn code_and_msg(&self) -> Result<(i64, Cow<'a, str>), Reason> {
        if self.repeated {
            return Err(TWICE);
        }
        let code = self.code.and_then(integer).ok_or("no usable code")?;
        let msg = self.msg.and_then(string).unwrap_or_default();
        Ok((code, msg))
    }

    /// Whether there is any id.
    #[cfg(feature = "client")]
    pub(super) fn names_task(&self) -> bool {
        let ids = self.ids.into_iter().flatten();
        ids.into_iter().any(|id| id.get() != "null")
    }

    /// The one id, however often it is given.
    pub(super) fn task_id(&self) -> Result<Cow<'a, str>, Reason> {
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

const TWICE: Reason = "a member that is read is given twice";

/// The members of one object that are read, as they stand in the text.
///
/// Each is kept raw, so that a megabyte of digits or half a surrogate pair matters only where its
/// value does.
pub(super) struct Members<'a, const N: usize> {
    /// `task_id` and `taskId`, beside those that were asked for.
    ids: [Option<&'a RawValue>; 2],
    repeated_id: bool,
    values: [Option<&'a RawValue>; N],
    repeated: [bool; N],
    /// Whether there are any others.
    pub(super) others: bool,
}

impl<'a, const N: usize> Members<'a, N> {
    pub(super) fn of(text: &'a str, names: [&str; N]) -> Result<Self, Reason> {
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json
            .deserialize_map(Named(names))
            .and_then(|members| json.end().map(|()| members));
        members.map_err(|_| "it is no JSON object that can be read")
    }

    /// The members, none of which is given twice.
    pub(super) fn once(self) -> Result<[Option<&'a RawValue>; N], Reason> {
        if self.repeated.contains(&true) {
            return Err(TWICE);
        }
        Ok(self.values)
    }
}

/// The names of the members that are read.
struct Named<'n, const N: usize>([&'n str; N]);

impl<'a, const N: usize> Visitor<'a> for Named<'_, N> {
    type Value = Members<'a, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members {
            ids: [None; 2],
            repeated_id: false,
            values: [None; N],
            repeated: [false; N],
            others: false,
        };
        while let Some(name) = map.next_key::<&RawValue>()? {
            let name = string(name);
            let name = name.as_deref();
            let id = match name {
                Some("task_id") => Some(0),
                Some("taskId") => Some(1),
                _ => None,
            };
            let known = self.0.iter().position(|known| name == Some(known));
            let (slot, repeated) = match (id, known) {
                (Some(id), _) => (&mut members.ids[id], &mut members.repeated_id),
                (None, Some(place)) => (&mut members.values[place], &mut members.repeated[place]),
                (None, None) => {
                    members.others = true;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                *repeated = true;
            }
        }
        Ok(members)
    }
}

/// Whether it is `null`, or a list of nothing.
#[cfg(feature = "client")]
fn is_empty(raw: &RawValue) -> bool {
    let list = raw.get().strip_prefix('[');
    let elements = list.and_then(|list| list.strip_suffix(']'));
    raw.get() == "null" || elements.is_some_and(|elements| elements.trim().is_empty())
}

pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// The value as text, if it is a string without half a surrogate pair.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The value as an integer, given as a number or as text.
pub(super) fn integer(raw: &RawValue) -> Option<i64> {
    match string(raw) {
        Some(text) => text.parse().ok(),
        None => raw.get().parse().ok(),
    }
}

/// The value as text, if it is a string and not empty.
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    borrowed_text(raw).map(Cow::into_owned)
}

/// The same, as it stands in the callback.
pub(super) fn borrowed_text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    raw.and_then(string).filter(|text| !text.is_empty())
}

/// The value as a finite number, given as a number or as text.
pub(super) fn number(raw: Option<&RawValue>) -> Option<f64> {
    let raw = raw?;
    let number: f64 = match string(raw) {
        Some(text) => text.parse().ok()?,
        None => raw.get().parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// The elements of a list, each made by `element`. Nothing and `null` are an empty list.
pub(super) fn list<'a, T>(
    raw: Option<&'a RawValue>,
    element: impl FnMut(&'a RawValue) -> Result<T, Reason>,
) -> Result<Vec<T>, Reason> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    let elements: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| "a member that is no list")?;
    elements.into_iter().map(element).collect()
}
