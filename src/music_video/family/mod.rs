//! The other products of the same provider, one file each, and the event that is any of them.

mod any;
mod cover;
mod lyrics;
mod midi;
mod music;
mod vocal_separation;
mod wav;

use crate::event::{EventKey, InvalidKey, Rank};

pub use self::{
    any::{AnyCallback, UnknownCallback},
    cover::Cover,
    lyrics::{Lyrics, LyricsVersion},
    midi::{Instrument, Midi, Note, Score},
    music::{Music, MusicStage, Track, Tracks},
    vocal_separation::{Stems, VocalSeparation},
    wav::Wav,
};

/// The key of a task's end.
fn end(task_id: &str, success: bool) -> Result<EventKey, InvalidKey> {
    Ok(EventKey::new(task_id)?.with_rank(Rank::from(success)))
}

/// The key of a stage before the end.
fn interim(task_id: &str, stage: &str) -> Result<EventKey, InvalidKey> {
    Ok(EventKey::new(format!("{task_id}/{stage}"))?.with_rank(1))
}
