//! What stands in the tracked queue: keys, ranks and bodies.
//!
//! | key | rank | body |
//! | --- | --- | --- |
//! | `c:` and the correlation id | 0 | the request: it is about to be submitted |
//! | | 1 | the request, and its task or why it was refused |
//! | | 2 and the event's own | the event |
//! | `t:` and the task's id | 0 | none: it is tracked |
//! | `h:` and the task's id | the event's own | a callback that is not confirmed: a hint |
//!
//! A hint has a key of its own, because it ends without a trace where it is not true. What is tracked must
//! not end with it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    event::{EventKey, Rank},
    music_video::GenerateRequest,
};

/// The outcome of a submission is known.
pub(super) const ANSWERED: Rank = 1;
/// The event is there. Its own rank is added.
pub(super) const ENDED: Rank = 2;

/// What a record of the queue says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tracked<'a> {
    /// It may have been submitted.
    Intent {
        correlation: &'a str,
        request: GenerateRequest,
    },
    /// It was submitted.
    Submitted {
        correlation: &'a str,
        task_id: Cow<'a, str>,
        /// Of which it is; none that can be read if another version wrote it.
        request: Option<GenerateRequest>,
    },
    /// It was surely not submitted.
    Refused,
    /// Its event is there.
    Ended,
    /// It was submitted elsewhere.
    Task { task_id: &'a str },
    /// Somebody says that it has ended so.
    Hint { task_id: &'a str, claimed: Rank },
}

#[derive(Serialize, Deserialize)]
struct Answered<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    task_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    refused: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request: Option<&'a RawValue>,
}

impl<'a> Tracked<'a> {
    /// Reads a record. Nothing, if it is none of this version's.
    pub(super) fn read(key: &'a [u8], rank: Rank, body: &'a [u8]) -> Option<Self> {
        let (kind, name) = str::from_utf8(key).ok()?.split_at_checked(2)?;
        match (kind, rank) {
            ("c:", 0) => Some(Self::Intent {
                correlation: name,
                request: GenerateRequest::decode(body).ok()?,
            }),
            ("c:", ANSWERED) => {
                let answered: Answered<'a> = serde_json::from_slice(body).ok()?;
                let request = answered.request.map(|raw| raw.get().as_bytes());
                match answered.task_id {
                    Some(task_id) => Some(Self::Submitted {
                        correlation: name,
                        task_id,
                        request: request.and_then(|raw| GenerateRequest::decode(raw).ok()),
                    }),
                    None => answered.refused.map(|_| Self::Refused),
                }
            }
            ("c:", _) => Some(Self::Ended),
            ("t:", 0) => Some(Self::Task { task_id: name }),
            ("h:", claimed) => Some(Self::Hint {
                task_id: name,
                claimed,
            }),
            _ => None,
        }
    }
}

pub(super) fn correlation_key(correlation: &str) -> Bytes {
    format!("c:{correlation}").into()
}

pub(super) fn task_key(task_id: &str) -> Bytes {
    format!("t:{task_id}").into()
}

/// How a callback is kept that is not confirmed.
pub(super) fn hint(key: EventKey) -> (Bytes, Rank) {
    (format!("h:{}", key.as_str()).into(), key.rank())
}

/// The body of a submission that became a task.
pub(super) fn submitted(request: &GenerateRequest, task_id: &str) -> Bytes {
    answered(request, Some(task_id), None)
}

/// The body of a submission that surely became none.
pub(super) fn refused(request: &GenerateRequest, why: &str) -> Bytes {
    answered(request, None, Some(why))
}

fn answered(request: &GenerateRequest, task_id: Option<&str>, refused: Option<&str>) -> Bytes {
    let request = request.encode();
    let answered = Answered {
        task_id: task_id.map(Cow::Borrowed),
        refused: refused.map(Cow::Borrowed),
        request: serde_json::from_slice(&request).ok(),
    };
    serde_json::to_vec(&answered)
        .expect("strings always serialize")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> GenerateRequest {
        GenerateRequest::new("music-1", "audio-1").with_author("A \"quoted\" one")
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let key = correlation_key("order 7/ä");
        assert_eq!(
            Tracked::read(&key, 0, &request().encode()),
            Some(Tracked::Intent {
                correlation: "order 7/ä",
                request: request(),
            })
        );
        assert_eq!(
            Tracked::read(&key, 1, &submitted(&request(), "t\"1")),
            Some(Tracked::Submitted {
                correlation: "order 7/ä",
                task_id: "t\"1".into(),
                request: Some(request()),
            })
        );
        let refused = refused(&request(), "no credits");
        assert_eq!(Tracked::read(&key, 1, &refused), Some(Tracked::Refused));
        for rank in [2, 3] {
            assert_eq!(Tracked::read(&key, rank, b"{"), Some(Tracked::Ended));
        }
        let key = task_key("c:1");
        assert_eq!(
            Tracked::read(&key, 0, b""),
            Some(Tracked::Task { task_id: "c:1" })
        );
        let (key, rank) = hint(EventKey::new("t-1").unwrap().with_rank(1));
        let claimed = 1;
        assert_eq!(
            Tracked::read(&key, rank, b"whatever"),
            Some(Tracked::Hint {
                task_id: "t-1",
                claimed
            })
        );
    }

    #[test]
    fn what_another_version_wrote_is_read_as_far_as_it_goes() {
        let body = br#"{"task_id":"t-1","request":{"new":1},"later":true}"#;
        let Some(Tracked::Submitted { request: None, .. }) = Tracked::read(b"c:1", 1, body) else {
            panic!("the task is known");
        };
        for (key, rank, body) in [
            (&b"c:1"[..], 0, &b"{}"[..]),
            (b"c:1", 1, b"{}"),
            (b"c:1", 1, b"nothing"),
            (b"t:1", 1, b""),
            (b"x:1", 0, b""),
            (b"", 0, b""),
            (b"\xff\xff1", 0, b""),
        ] {
            assert_eq!(Tracked::read(key, rank, body), None, "{key:?}");
        }
    }
}
