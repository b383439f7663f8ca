//! A track as a WAV file.

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{Failure, parse},
};

/// The end of a conversion to WAV.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance, and has
/// the same key and ranks: the task's id, a failure 0 and a success 1.
///
/// A success without a URL is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Wav {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// Where the WAV file is, for a limited time, or why there is none.
    pub outcome: Result<String, Failure>,
}

impl Event for Wav {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(callback.body(), ["audioWavUrl"], |[url]| {
            parse::text(url).ok_or("a success without an audioWavUrl")
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
