//! What the provider knows of a task.

use std::{fmt, time::SystemTime};

use crate::music_video::MusicVideo;

/// What the provider knows of a task.
///
/// `Debug` leaves out the provider's words, which may quote the callback URL.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Details {
    /// The task that was asked for.
    pub task_id: String,
    /// How it is going.
    pub status: Status,
    /// Where the video is, for about two weeks. Not always a URL: see
    /// [`Outcome::Succeeded`](crate::music_video::Outcome::Succeeded).
    pub video_url: Option<String>,
    /// The provider's code for what went wrong.
    pub error_code: Option<i64>,
    /// The provider's words for what went wrong: show them, never match on them.
    pub error_message: Option<String>,
    /// The track that the video is of.
    pub audio_id: Option<String>,
    /// The provider's other id of the music.
    pub music_id: Option<String>,
    /// When the task was made.
    pub created: Option<ProviderTime>,
    /// When it ended.
    pub completed: Option<ProviderTime>,
}

/// How a task is going: the `successFlag`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// `PENDING`: no end yet.
    Pending,
    /// `SUCCESS`: the video is ready.
    Success,
    /// `CREATE_TASK_FAILED`: the render never began.
    CreateTaskFailed,
    /// `GENERATE_MP4_FAILED`: the render failed.
    GenerateFailed,
    /// `CALLBACK_EXCEPTION`: the provider could not deliver the callback. If there is a URL, the video
    /// is ready all the same.
    CallbackException,
    /// Another one, as it stands in the answer.
    Other(String),
}

/// When the provider says that something happened.
///
/// Exhaustive: the provider writes times in these two ways, and what is written in another is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProviderTime {
    /// A point in time.
    Exact(SystemTime),
    /// A date and a time of day without a time zone, `2025-01-01 00:10:00`. Which zone the provider
    /// means is not known.
    Local(String),
}

impl Details {
    /// The event that the callback would have been, if the task has ended.
    ///
    /// | status | with a video URL | without |
    /// | --- | --- | --- |
    /// | [`Success`](Status::Success), [`CallbackException`](Status::CallbackException) | a success | none |
    /// | [`CreateTaskFailed`](Status::CreateTaskFailed), [`GenerateFailed`](Status::GenerateFailed) | a failure | a failure |
    /// | [`Pending`](Status::Pending), [`Other`](Status::Other) | none | none |
    ///
    /// A failure has the [code](Self::error_code) that the provider names, or 500.
    pub fn event(&self) -> Option<MusicVideo> {
        match self.status {
            Status::Success | Status::CallbackException => {
                let video_url = self.video_url.as_deref().filter(|url| !url.is_empty())?;
                Some(MusicVideo::succeeded(&self.task_id, video_url))
            }
            Status::CreateTaskFailed | Status::GenerateFailed => Some(MusicVideo::failed(
                &self.task_id,
                self.error_code.unwrap_or(500),
                self.error_message.as_deref().unwrap_or_default(),
            )),
            Status::Pending | Status::Other(_) => None,
        }
    }
}

impl Status {
    pub(super) fn of(flag: &str) -> Self {
        match flag {
            "PENDING" => Self::Pending,
            "SUCCESS" => Self::Success,
            "CREATE_TASK_FAILED" => Self::CreateTaskFailed,
            "GENERATE_MP4_FAILED" => Self::GenerateFailed,
            "CALLBACK_EXCEPTION" => Self::CallbackException,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = (self.error_message.as_ref()).map(|message| message.len());
        let message = message.map(|len| format!("{len} bytes"));
        f.debug_struct("Details")
            .field("task_id", &self.task_id)
            .field("status", &self.status)
            .field("video_url", &self.video_url)
            .field("error_code", &self.error_code)
            .field("error_message", &message)
            .field("audio_id", &self.audio_id)
            .field("music_id", &self.music_id)
            .field("created", &self.created)
            .field("completed", &self.completed)
            .finish()
    }
}
