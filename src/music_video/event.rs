//! The event: a video is ready, or could not be made.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    encode,
    parse::{self, Report},
};
use crate::event::{Callback, Event, EventKey, Identity, InvalidKey, ParseError};

/// The end of a music video task.
///
/// The task's id is the [key](Event::key). A failure has rank 0 and a success rank 1: a task
/// reaches the handler as a failure at most once and as a success at most once, and never as a
/// failure after its success.
///
/// # What is read
///
/// `{"code":200,"msg":"…","data":{"task_id":"…","video_url":"…"}}`, and what the provider and its
/// siblings are known to make of it:
///
/// - the id as `task_id` or `taskId`, in `data` or beside it; `null` is none, and all that are
///   given must be equal;
/// - `code` as a number or as a numeric string; it alone decides, and 0 means success like 200;
/// - a `data` that is not an object, or missing, when the id stands beside it;
/// - any `msg`, or none; other members anywhere, in any order, nested to any depth;
/// - a UTF-8 byte order mark in front.
///
/// The URL of a success is text; whether it is a good URL shows when it is used.
///
/// # What is refused
///
/// As [unprocessable](crate::event::ParseErrorKind::Unprocessable): no id, or an empty one, or one
/// that is no text; ids that differ; no usable code; a success without a URL; a member that is
/// read and given twice, since two readers could take it for two different events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MusicVideo {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language: show them, never match on them. Empty if it had none.
    pub msg: String,
    /// How the task ended.
    pub outcome: Outcome,
}

/// How a task ended.
///
/// Exhaustive: a task ends with a video or without one, and a handler is to say what it does in both
/// cases. New reasons become a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The video is ready.
    Succeeded {
        /// Where the video is, for about two weeks. Not empty, and not always a URL: a sibling of
        /// the provider documents `video_url_847715e66259`.
        video_url: String,
    },
    /// There will be no video.
    Failed(Failure),
}

/// Why there will be no video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// 400: a wrong parameter, or an audio format that is not supported.
    BadRequest,
    /// 451: the source audio could not be downloaded.
    DownloadFailed,
    /// 500: the provider's server failed; it may work later.
    ServerError,
    /// Another code.
    Other(i64),
}

impl MusicVideo {
    /// A success, as the provider reports it: code 200.
    ///
    /// Without an id or a URL it is an event that nobody reads back.
    pub fn succeeded(task_id: impl Into<String>, video_url: impl Into<String>) -> Self {
        Self {
            task_id: task_id.into(),
            code: 200,
            msg: "success".to_owned(),
            outcome: Outcome::Succeeded {
                video_url: video_url.into(),
            },
        }
    }

    /// A failure, with the provider's code and words.
    ///
    /// A code that means success cannot tell of a failure: it becomes 500.
    pub fn failed(task_id: impl Into<String>, code: i64, msg: impl Into<String>) -> Self {
        let code = if is_success(code) { 500 } else { code };
        Self {
            task_id: task_id.into(),
            code,
            msg: msg.into(),
            outcome: Outcome::Failed(Failure::of(code)),
        }
    }

    /// The JSON that a callback with this event would have brought.
    ///
    /// Where [`code`](Self::code) and [`outcome`](Self::outcome) were set to disagree, the outcome
    /// counts: the code becomes 200, or that of the failure.
    pub fn encode(&self) -> Bytes {
        encode::encode(self)
    }
}

impl Event for MusicVideo {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = report(callback)?;
        Ok(Self {
            task_id: report.task_id.into_owned(),
            code: report.code,
            msg: report.msg.into_owned(),
            outcome: match report.outcome {
                Ok(video_url) => Outcome::Succeeded {
                    video_url: video_url.into_owned(),
                },
                Err(failure) => Outcome::Failed(failure),
            },
        })
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        key(
            &self.task_id,
            matches!(self.outcome, Outcome::Succeeded { .. }),
        )
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.task_id)
    }

    fn identify<'a>(callback: &Callback<'a>) -> Result<Identity<'a>, ParseError> {
        let report = report(callback)?;
        let key = key(&report.task_id, report.outcome.is_ok());
        Ok(Identity::new(key).with_subject(Some(report.task_id)))
    }
}

fn report<'a>(callback: &Callback<'a>) -> Result<Report<'a, Cow<'a, str>>, ParseError> {
    parse::report(callback.body(), ["video_url"], |[video_url]| {
        parse::borrowed_text(video_url).ok_or("a success without a video_url")
    })
}

fn key(task_id: &str, succeeded: bool) -> Result<EventKey, InvalidKey> {
    Ok(EventKey::new(task_id)?.with_rank(succeeded.into()))
}

impl Failure {
    pub(super) fn of(code: i64) -> Self {
        match code {
            400 => Self::BadRequest,
            451 => Self::DownloadFailed,
            500 => Self::ServerError,
            other => Self::Other(other),
        }
    }

    /// The code that tells of it. One that means success cannot, and becomes 500.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::BadRequest => 400,
            Self::DownloadFailed => 451,
            Self::ServerError => 500,
            Self::Other(code) if is_success(code) => 500,
            Self::Other(code) => code,
        }
    }
}

/// A sibling's specification says "0 = success" beside an enum of 200 and 500.
pub(super) fn is_success(code: i64) -> bool {
    matches!(code, 200 | 0)
}
