//! Images for a cover.

use crate::{
    event::{Callback, Event, EventKey, InvalidKey, ParseError},
    music_video::{Failure, parse},
};

/// The end of a cover for a piece of music.
///
/// It is read like a [`MusicVideo`](crate::music_video::MusicVideo), with the same tolerance, and has
/// the same key and ranks: the task's id, a failure 0 and a success 1.
///
/// A success without an image is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cover {
    /// The task, as the provider named it when it was submitted.
    pub task_id: String,
    /// The provider's code, which decides the [outcome](Self::outcome).
    pub code: i64,
    /// The provider's words, in its language. Empty if it had none.
    pub msg: String,
    /// Where the images are, for a limited time, or why there are none. At least one.
    pub outcome: Result<Vec<String>, Failure>,
}

impl Event for Cover {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let report = parse::report(callback.body(), ["images"], |[images]| {
            let images = parse::list(images, |image| {
                parse::text(Some(image)).ok_or("an image that is no text")
            })?;
            if images.is_empty() {
                return Err("a success without images");
            }
            Ok(images)
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
