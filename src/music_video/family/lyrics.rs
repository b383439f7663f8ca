//! Lyrics.

use serde_json::value::RawValue;

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{
        Failure,
        parse::{self, Reason},
    },
};

/// The end of a lyrics task.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance, and has
/// the same key and ranks: the task's id, a failure 0 and a success 1.
///
/// A success without a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Lyrics {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// The versions, at least one of which has a text, or why there are none.
    pub outcome: Result<Vec<LyricsVersion>, Failure>,
}

impl Event for Lyrics {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(callback.body(), ["data"], |[texts]| {
            let texts = parse::list(texts, LyricsVersion::read)?;
            if texts.iter().all(|version| version.text.is_none()) {
                return Err("a success without lyrics");
            }
            Ok(texts)
        })?;
        Ok(Self {
            task_id: report.task_id.into_owned(),
            code: report.code,
            msg: report.msg.into_owned(),
            outcome: report.outcome,
        })
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        super::end(&self.task_id, self.outcome.is_ok())
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.task_id)
    }
}

/// One version of the lyrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LyricsVersion {
    /// The lyrics themselves.
    pub text: Option<String>,
    /// The title that goes with them.
    pub title: Option<String>,
    /// `complete` or `failed`: one of several versions may fail alone.
    pub status: Option<String>,
    /// Why this one failed: `errorMessage` or, at a sibling, `error_message`.
    pub error_message: Option<String>,
}

impl LyricsVersion {
    fn read(raw: &RawValue) -> Result<Self, Reason> {
        let names = ["text", "title", "status", "errorMessage", "error_message"];
        let members = parse::Members::of(raw.get(), names)?.once()?;
        let [text, title, status, message, sibling] = members.map(parse::text);
        Ok(Self {
            text,
            title,
            status,
            error_message: message.or(sibling),
        })
    }
}
