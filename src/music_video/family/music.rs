//! Music, in stages.

use serde_json::value::RawValue;

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{
        Failure,
        parse::{self, Reason},
    },
};

/// What a music task has come to: a stage, or its end.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance. The code
/// alone decides whether it is a success; `callbackType` then says of which stage. A success is refused
/// without a stage that is known, and at the end also without a track that can be heard.
///
/// # Keys and ranks
///
/// One task calls several times, and no call may hide another one. So each stage on the way has a key
/// of its own, `{task_id}/text` and `{task_id}/first`, and comes once. The end has the task's id, as with
/// every other product: a failure has rank 0 and a success 1, so that a task never fails after its
/// success. Whatever stage a failure names, it is the end of the task.
///
/// Stages are events apart: they may be handled at the same time, and `first` after `complete`. What
/// `first` brought comes again in `complete`, where the [id](Track::id) of a track says that it is the
/// same. If only the end counts, let the handler return `Ok` for the others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Music {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// What there is, or why there will be nothing.
    pub outcome: Result<Tracks, Failure>,
}

impl Event for Music {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(
            callback.body(),
            ["callbackType", "data"],
            |[stage, tracks]| {
                let stage = MusicStage::read(stage).ok_or("a success of no known stage")?;
                let tracks = parse::list(tracks, Track::read)?;
                let heard = tracks.iter().any(|track| track.audio_url.is_some());
                if stage == MusicStage::Complete && !heard {
                    return Err("a success without an audio_url");
                }
                Ok(Tracks { stage, tracks })
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
        match &self.outcome {
            Ok(tracks) => match tracks.stage.interim() {
                Some(stage) => super::interim(&self.task_id, stage),
                None => super::end(&self.task_id, true),
            },
            Err(_) => super::end(&self.task_id, false),
        }
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.task_id)
    }
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MusicStage {
    /// `text`: the lyrics are there.
    Text,
    /// `first`: the first track can be heard.
    First,
    /// `complete`: the end, all tracks.
    Complete,
}

impl MusicStage {
    fn read(raw: Option<&RawValue>) -> Option<Self> {
        match &*parse::string(raw?)? {
            "text" => Some(Self::Text),
            "first" => Some(Self::First),
            "complete" => Some(Self::Complete),
            _ => None,
        }
    }

    /// Its name, where it is not the end.
    fn interim(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("text"),
            Self::First => Some("first"),
            Self::Complete => None,
        }
    }
}

/// What there is of the music.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tracks {
    /// How far the task has come.
    pub stage: MusicStage,
    /// The tracks, as far as they are made. At [`Complete`](MusicStage::Complete), at least one has an
    /// [`audio_url`](Track::audio_url).
    pub tracks: Vec<Track>,
}

/// One track. What is absent, empty, or not of its type, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Track {
    /// The track's own id, the same at every stage.
    pub id: Option<String>,
    /// Where the file is, for a limited time.
    pub audio_url: Option<String>,
    /// Where it can be heard while it is being made.
    pub stream_audio_url: Option<String>,
    /// Where its picture is.
    pub image_url: Option<String>,
    /// The lyrics, or what was asked for.
    pub prompt: Option<String>,
    /// The model that made it.
    pub model_name: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its style, as words with commas between them.
    pub tags: Option<String>,
    /// `createTime`: when it was made, in the provider's notation. A number is given as its digits.
    pub create_time: Option<String>,
    /// Its length in seconds.
    pub duration: Option<f64>,
}

impl Track {
    fn read(raw: &RawValue) -> Result<Self, Reason> {
        let names = [
            "id",
            "audio_url",
            "stream_audio_url",
            "image_url",
            "prompt",
            "model_name",
            "title",
            "tags",
        ];
        let times = parse::Members::of(raw.get(), ["createTime", "duration"])?.once()?;
        let texts = parse::Members::of(raw.get(), names)?.once()?;
        let [created, duration] = times;
        let digits = |raw: &&RawValue| raw.get().bytes().all(|byte| byte.is_ascii_digit());
        let [
            id,
            audio_url,
            stream_audio_url,
            image_url,
            prompt,
            model_name,
            title,
            tags,
        ] = texts.map(parse::text);
        Ok(Self {
            id,
            audio_url,
            stream_audio_url,
            image_url,
            prompt,
            model_name,
            title,
            tags,
            create_time: parse::text(created)
                .or_else(|| Some(created.filter(digits)?.get().to_owned())),
            duration: parse::number(duration),
        })
    }
}
