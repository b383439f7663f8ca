//! Notes heard in a recording.

use serde_json::value::RawValue;

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{
        Failure,
        parse::{self, Reason},
    },
};

/// The end of a MIDI task.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance, and has
/// the same key and ranks: the task's id, a failure 0 and a success 1.
///
/// A success without a list of instruments is refused; the list may be empty, when none was heard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Midi {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// What was heard, or why there is nothing.
    pub outcome: Result<Score, Failure>,
}

impl Event for Midi {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(
            callback.body(),
            ["state", "instruments"],
            |[state, instruments]| {
                let instruments = instruments.filter(|list| list.get() != "null");
                let instruments = instruments.ok_or("a success without instruments")?;
                Ok(Score {
                    state: parse::text(state),
                    instruments: parse::list(Some(instruments), Instrument::read)?,
                })
            },
        )?;
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

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// `complete`, where it is given.
    pub state: Option<String>,
    /// The instruments that were heard, maybe none.
    pub instruments: Vec<Instrument>,
}

/// One instrument.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Instrument {
    /// Such as `Drums` or `Electric Bass (finger)`.
    pub name: Option<String>,
    /// What it plays.
    pub notes: Vec<Note>,
}

/// One note. The provider gives its numbers as numbers or as text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// The number of the note, 60 for the middle C.
    pub pitch: Option<f64>,
    /// Where it starts, in seconds.
    pub start: Option<f64>,
    /// Where it ends, in seconds.
    pub end: Option<f64>,
    /// How loud it is, up to 1.
    pub velocity: Option<f64>,
}

impl Instrument {
    fn read(raw: &RawValue) -> Result<Self, Reason> {
        let [name, notes] = parse::Members::of(raw.get(), ["name", "notes"])?.once()?;
        Ok(Self {
            name: parse::text(name),
            notes: parse::list(notes, Note::read)?,
        })
    }
}

impl Note {
    fn read(raw: &RawValue) -> Result<Self, Reason> {
        let names = ["pitch", "start", "end", "velocity"];
        let members = parse::Members::of(raw.get(), names)?.once()?;
        let [pitch, start, end, velocity] = members.map(parse::number);
        Ok(Self {
            pitch,
            start,
            end,
            velocity,
        })
    }
}
