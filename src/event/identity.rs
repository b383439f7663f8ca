//! Which event a callback is, without the event.

use std::borrow::Cow;

use super::{EventKey, InvalidKey};

/// What a front needs to know of an event: made by [`Event::identify`](super::Event::identify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    key: Result<EventKey, InvalidKey>,
    subject: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    /// With what [`Event::key`](super::Event::key) says of the event, and without a subject.
    pub fn new(key: Result<EventKey, InvalidKey>) -> Self {
        Self { key, subject: None }
    }

    /// With what [`Event::subject`](super::Event::subject) says of the event.
    #[must_use]
    pub fn with_subject(mut self, subject: Option<impl Into<Cow<'a, str>>>) -> Self {
        self.subject = subject.map(Into::into);
        self
    }

    pub(crate) fn into_parts(self) -> (Result<EventKey, InvalidKey>, Option<Cow<'a, str>>) {
        (self.key, self.subject)
    }
}
