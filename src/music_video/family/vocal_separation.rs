//! Vocals apart from the rest.

use serde_json::value::RawValue;

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{
        Failure,
        parse::{self, Reason},
    },
};

/// The end of a separation of vocals from the rest.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance, and has
/// the same key and ranks: the task's id, a failure 0 and a success 1.
///
/// A success without `vocal_removal_info` is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VocalSeparation {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// The parts, or why there are none.
    pub outcome: Result<Stems, Failure>,
}

impl Event for VocalSeparation {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(callback.body(), ["vocal_removal_info"], |[info]| {
            let info = info.filter(|info| parse::is_object(info));
            Stems::read(info.ok_or("a success without vocal_removal_info")?)
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

/// The parts into which a track was separated. What is in them depends on how it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stems {
    /// Where the vocals are, for a limited time.
    pub vocal_url: Option<String>,
    /// Where everything but the vocals is.
    pub instrumental_url: Option<String>,
    /// The whole `vocal_removal_info`, as JSON: one URL per instrument, where that was asked for.
    pub json: String,
}

impl Stems {
    fn read(info: &RawValue) -> Result<Self, Reason> {
        let names = ["vocal_url", "instrumental_url"];
        let members = parse::Members::of(info.get(), names)?.once()?;
        let [vocal_url, instrumental_url] = members.map(parse::text);
        Ok(Self {
            vocal_url,
            instrumental_url,
            json: info.get().to_owned(),
        })
    }
}
