//! Any callback of the family.

use std::fmt;

use serde_json::value::RawValue;

use super::{Cover, Lyrics, Midi, Music, VocalSeparation, Wav};
use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError, json},
    music_video::{
        Failure, MusicVideo,
        event::is_success,
        parse::{self, Envelope, Members, Reason},
    },
};

/// Any callback of the provider, for one endpoint that receives them all.
///
/// An endpoint for each product is better where you can have it: then you know what a callback is about
/// by where it arrives, and nothing has to be guessed.
///
/// ```
/// use std::time::SystemTime;
/// use tower_callback::{Callback, Event, music_video::AnyCallback};
///
/// let body = br#"{"code":200,"msg":"success","data":{"task_id":"t-1","audioWavUrl":"https://example.com/a.wav"}}"#;
/// let headers = http::HeaderMap::new();
/// match AnyCallback::parse(&Callback::new(body, SystemTime::now(), &headers))? {
///     AnyCallback::Wav(wav) => assert_eq!(wav.outcome.as_deref(), Ok("https://example.com/a.wav")),
///     AnyCallback::Unknown(unknown) => println!("{}: {}", unknown.task_id, unknown.json),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), tower_callback::event::ParseError>(())
/// ```
///
/// # How it is recognised
///
/// By the names of the members of `data`, whatever their values; never by `msg`, and never by how the
/// id is spelled, in which the siblings differ. Exactly one of these must be there:
///
/// | member | it is |
/// | --- | --- |
/// | `audioWavUrl` | [`Wav`] |
/// | `vocal_removal_info` | [`VocalSeparation`] |
/// | `images` | [`Cover`] |
/// | `instruments` | [`Midi`] |
/// | `callbackType` | [`Music`] or [`Lyrics`], by what the elements of its list have: all `text`, or all something of a track |
/// | `video_url`, and nothing else but the id | [`MusicVideo`] |
///
/// A sibling's other products have a `video_url` too, so that it is a music video only where it stands
/// alone. One of them that brings nothing else either is taken for a music video: only an endpoint of its
/// own keeps it apart. The other way round, a music video with a new member beside its URL is
/// [`Unknown`](Self::Unknown) here, and still read by [`MusicVideo`] itself.
///
/// The failures of music and of lyrics are the same, letter for letter, when their list is empty or
/// missing: they are [`MusicOrLyrics`](Self::MusicOrLyrics). Everything else is `Unknown`, and kept whole.
///
/// What is recognised is read as its own type reads it, and refused as that refuses it: a success
/// without its URL is not `Unknown` but unprocessable. So is what has no id, no usable code, or one of the
/// members above twice.
///
/// # Keys and ranks
///
/// Those of its own type. All follow one rule, which does not need the type: a success that names a
/// stage on the way has the key `{task_id}/{callbackType}`, and everything else has the task's id, a
/// failure with rank 0 and a success with rank 1. So what is `Unknown` today keeps its key when a later
/// version knows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyCallback {
    /// A music video.
    MusicVideo(MusicVideo),
    /// A stage of a music task, or its end.
    Music(Music),
    /// Lyrics.
    Lyrics(Lyrics),
    /// A track as a WAV file.
    Wav(Wav),
    /// Vocals apart from the rest.
    VocalSeparation(VocalSeparation),
    /// Images for a cover.
    Cover(Cover),
    /// Notes heard in a recording.
    Midi(Midi),
    /// The failure of a music task or of a lyrics task. Which of them, says the task's id to those who
    /// submitted it.
    MusicOrLyrics {
        /// The task.
        task_id: String,
        /// The provider's code.
        code: i64,
        /// The provider's words. Empty if it had none.
        msg: String,
        /// What the code means.
        failure: Failure,
    },
    /// Something else.
    Unknown(UnknownCallback),
}

/// A callback of no known shape.
///
/// Its `Debug` shows how long the JSON is, not what it says.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UnknownCallback {
    /// The task.
    pub task_id: String,
    /// The provider's code.
    pub code: i64,
    /// The provider's words. Empty if it had none.
    pub msg: String,
    /// The `callbackType` in `data`, if there is one.
    pub callback_type: Option<String>,
    /// The whole body, as it came but for a byte order mark.
    pub json: String,
}

impl fmt::Debug for UnknownCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownCallback")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("msg", &self.msg)
            .field("callback_type", &self.callback_type)
            .field("json", &format_args!("{} bytes", self.json.len()))
            .finish()
    }
}

impl AnyCallback {
    /// The task that it is about.
    pub fn task_id(&self) -> &str {
        match self {
            Self::MusicVideo(event) => &event.task_id,
            Self::Music(event) => &event.task_id,
            Self::Lyrics(event) => &event.task_id,
            Self::Wav(event) => &event.task_id,
            Self::VocalSeparation(event) => &event.task_id,
            Self::Cover(event) => &event.task_id,
            Self::Midi(event) => &event.task_id,
            Self::MusicOrLyrics { task_id, .. } => task_id,
            Self::Unknown(event) => &event.task_id,
        }
    }
}

impl Event for AnyCallback {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let text = json::text(callback.body())?;
        match Shape::of(text).map_err(|reason| json::unreadable(text, reason))? {
            Shape::MusicVideo => MusicVideo::parse(callback).map(Self::MusicVideo),
            Shape::Music => Music::parse(callback).map(Self::Music),
            Shape::Lyrics => Lyrics::parse(callback).map(Self::Lyrics),
            Shape::Wav => Wav::parse(callback).map(Self::Wav),
            Shape::VocalSeparation => VocalSeparation::parse(callback).map(Self::VocalSeparation),
            Shape::Cover => Cover::parse(callback).map(Self::Cover),
            Shape::Midi => Midi::parse(callback).map(Self::Midi),
            Shape::Other(event) => Ok(event),
        }
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        match self {
            Self::MusicVideo(event) => event.key(),
            Self::Music(event) => event.key(),
            Self::Lyrics(event) => event.key(),
            Self::Wav(event) => event.key(),
            Self::VocalSeparation(event) => event.key(),
            Self::Cover(event) => event.key(),
            Self::Midi(event) => event.key(),
            Self::MusicOrLyrics { task_id, .. } => super::end(task_id, false),
            Self::Unknown(event) => match event.callback_type.as_deref() {
                None | Some("complete" | "error") => {
                    super::end(&event.task_id, is_success(event.code))
                }
                Some(_) if !is_success(event.code) => super::end(&event.task_id, false),
                Some(stage) => super::interim(&event.task_id, stage),
            },
        }
    }

    fn subject(&self) -> Option<&str> {
        Some(self.task_id())
    }
}

/// Which event reads a callback, or the event itself where it has no type of its own.
enum Shape {
    MusicVideo,
    Music,
    Lyrics,
    Wav,
    VocalSeparation,
    Cover,
    Midi,
    Other(AnyCallback),
}

impl Shape {
    fn of(text: &str) -> Result<Self, Reason> {
        let names = [
            "callbackType",
            "data",
            "audioWavUrl",
            "vocal_removal_info",
            "images",
            "instruments",
            "video_url",
        ];
        let envelope = Envelope::of(text, names)?;
        let (task_id, code, msg) = envelope.head()?;
        let (task_id, msg) = (task_id.into_owned(), msg.into_owned());
        let members = envelope.data;
        let others = members.others;
        let [stage, list, wav, stems, images, notes, video] = members.once()?;
        let marks = [stage, wav, stems, images, notes, video].map(|mark| mark.is_some());
        let callback_type = parse::text(stage);
        let known = match marks {
            [true, false, false, false, false, false] => {
                let stage = callback_type.as_deref().unwrap_or_default();
                match (Elements::of(list)?, stage, is_success(code)) {
                    (Elements::Tracks, "text" | "first" | "complete", _)
                    | (Elements::Tracks, "error", false) => Some(Self::Music),
                    (Elements::Texts, "complete", _)
                    | (Elements::Texts, "text" | "first" | "error", false) => Some(Self::Lyrics),
                    (Elements::None, "text" | "first" | "complete" | "error", false) if !others => {
                        return Ok(Self::Other(AnyCallback::MusicOrLyrics {
                            task_id,
                            code,
                            msg,
                            failure: Failure::of(code),
                        }));
                    }
                    _ => None,
                }
            }
            [false, true, false, false, false, false] => Some(Self::Wav),
            [false, false, true, false, false, false] => Some(Self::VocalSeparation),
            [false, false, false, true, false, false] => Some(Self::Cover),
            [false, false, false, false, true, false] => Some(Self::Midi),
            [false, false, false, false, false, true] if list.is_none() && !others => {
                Some(Self::MusicVideo)
            }
            _ => None,
        };
        Ok(known.unwrap_or_else(|| {
            Self::Other(AnyCallback::Unknown(UnknownCallback {
                task_id,
                code,
                msg,
                callback_type,
                json: text.to_owned(),
            }))
        }))
    }
}

/// What the list beside a `callbackType` holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elements {
    /// Nothing at all.
    None,
    /// Only tracks.
    Tracks,
    /// Only lyrics.
    Texts,
    /// Something else, or some of each.
    Other,
}

impl Elements {
    fn of(list: Option<&RawValue>) -> Result<Self, Reason> {
        let Ok(kinds) = parse::list(list, Ok) else {
            return Ok(Self::Other);
        };
        let kinds: Vec<Self> = kinds
            .into_iter()
            .map(Self::kind)
            .collect::<Result<_, Reason>>()?;
        Ok(match kinds.split_first() {
            None => Self::None,
            Some((first, rest)) if rest.iter().all(|kind| kind == first) => *first,
            Some(_) => Self::Other,
        })
    }

    fn kind(element: &RawValue) -> Result<Self, Reason> {
        if !parse::is_object(element) {
            return Ok(Self::Other);
        }
        let [text, track @ ..] = Members::of(
            element.get(),
            [
                "text",
                "audio_url",
                "stream_audio_url",
                "image_url",
                "prompt",
                "model_name",
                "tags",
                "duration",
            ],
        )?
        .once()?;
        Ok(match (text.is_some(), track.iter().any(Option::is_some)) {
            (true, false) => Self::Texts,
            (false, true) => Self::Tracks,
            _ => Self::Other,
        })
    }
}
