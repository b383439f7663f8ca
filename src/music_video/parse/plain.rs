//! A callback as it almost always comes, read in one pass.
//!
//! Whatever is not plain is left to the [`Envelope`](super::Envelope), which tolerates it: a number given
//! as text, an id given twice, a `data` that is no object, an escape in a name, and what is not JSON.
//! What is plain says the same there.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The task's id, the code and the words.
pub(super) type Head<'a> = (Cow<'a, str>, i64, Cow<'a, str>);

/// These, and those members of `data` that were asked for.
pub(super) type Said<'a, const N: usize> = (Head<'a>, [Option<&'a RawValue>; N]);

/// What a plain callback says. None for one that is not plain.
pub(super) fn read<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<Said<'a, N>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let said = json.deserialize_map(Root(names)).ok()?;
    json.end().ok()?;
    Some(said)
}

struct Root<'n, const N: usize>([&'n str; N]);

impl<'a, const N: usize> Visitor<'a> for Root<'_, N> {
    type Value = Said<'a, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut task_id, mut code, mut msg, mut members) = (None, None, None, None);
        while let Some(name) = map.next_key::<&str>()? {
            match name {
                "code" => once(&mut code, map.next_value()?)?,
                "msg" => once(&mut msg, map.next_value()?)?,
                "task_id" | "taskId" => once(&mut task_id, map.next_value()?)?,
                "data" => {
                    let names = self.0;
                    let task_id = &mut task_id;
                    once(&mut members, map.next_value_seed(Data { names, task_id })?)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let task_id = task_id.filter(|Text(id)| !id.is_empty());
        match (task_id, code, members) {
            (Some(Text(task_id)), Some(code), Some(members)) => {
                let Text(msg) = msg.unwrap_or_default();
                Ok(((task_id, code, msg), members))
            }
            _ => Err(A::Error::custom("something is missing")),
        }
    }
}

struct Data<'n, 'a, const N: usize> {
    names: [&'n str; N],
    task_id: &'n mut Option<Text<'a>>,
}

impl<'a, const N: usize> DeserializeSeed<'a> for Data<'_, 'a, N> {
    type Value = [Option<&'a RawValue>; N];

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a, const N: usize> Visitor<'a> for Data<'_, 'a, N> {
    type Value = [Option<&'a RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [None; N];
        while let Some(name) = map.next_key::<&str>()? {
            if matches!(name, "task_id" | "taskId") {
                once(self.task_id, map.next_value()?)?;
            } else if let Some(place) = self.names.iter().position(|known| *known == name) {
                once(&mut members[place], map.next_value()?)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(members)
    }
}

/// Text, borrowed where nothing in it is escaped. A `Cow` alone would always be owned.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn once<T, E: Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member is given twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_documents_is_read_in_one_pass() {
        for body in [
            r#"{"code":200,"msg":"m","data":{"task_id":"t","video_url":"u"}}"#,
            r#"{"code":400,"msg":"m","data":{"task_id":"t","video_url":null}}"#,
        ] {
            let ((task_id, _, msg), [url]) = read(body, ["video_url"]).expect("it is plain");
            assert_eq!((&*task_id, &*msg), ("t", "m"), "{body}");
            assert!(url.is_some(), "{body}");
        }
    }
}
