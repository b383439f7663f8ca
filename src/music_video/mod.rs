//! The callbacks of the *Music Video Generation API* (sunoapi.org and its siblings): a rendered
//! video is ready, or could not be made.
//!
//! ```
//! use std::time::SystemTime;
//! use tower_callback::{Callback, Event, music_video::{MusicVideo, Outcome}};
//!
//! let body = br#"{"code":200,"msg":"success","data":{"task_id":"t-1","video_url":"https://example.com/v.mp4"}}"#;
//! let headers = http::HeaderMap::new();
//! let event = MusicVideo::parse(&Callback::new(body, SystemTime::now(), &headers))?;
//! match event.outcome {
//!     Outcome::Succeeded { video_url } => println!("{} is at {video_url}", event.task_id),
//!     Outcome::Failed(failure) => println!("{} failed: {failure:?}, {}", event.task_id, event.msg),
//! }
//! # Ok::<(), tower_callback::event::ParseError>(())
//! ```
//!
//! The other products of the same provider call in the same way, and have events of their own:
//! [`Music`], [`Lyrics`], [`Wav`], [`VocalSeparation`], [`Cover`] and [`Midi`]. [`AnyCallback`] is for an
//! endpoint at which all of them arrive.
//!
//! With the feature `client`, a `Client` submits tasks and asks the provider how they are going. A
//! `Submitter` submits each at most once, whatever crashes, and gives a `Submission` whose event can be
//! waited for; `Callbacks::poll_with` has the worker ask where no callback comes, and
//! `Callbacks::confirm_with` before any callback is believed.

#[cfg(feature = "client")]
mod client;
mod encode;
mod event;
mod family;
mod kie;
mod parse;
#[cfg(feature = "client")]
mod track;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use self::client::{
    Client, ClientBuilder, ClientError, ClientErrorKind, Code429, DangerousClientBuilder, Details,
    GenerateRequest, Generated, ProviderTime, Status,
};
#[cfg(all(feature = "client", any(test, feature = "testing")))]
pub(crate) use self::client::{any_details, any_generated};
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use self::track::{
    Polling, Submission, SubmitError, SubmitErrorKind, Submitter, Tracker, WaitError, WaitErrorKind,
};
pub use self::{
    event::{Failure, MusicVideo, Outcome},
    family::{
        AnyCallback, Cover, Instrument, Lyrics, LyricsVersion, Midi, Music, MusicStage, Note,
        Score, Stems, Track, Tracks, UnknownCallback, VocalSeparation, Wav,
    },
    kie::KieSignature,
};
