//! What is submitted, and what comes back.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ClientError;

/// A video to render: of which music task, and of which of its tracks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GenerateRequest {
    /// The task that made the music.
    pub task_id: String,
    /// The track of it.
    pub audio_id: String,
    /// Who is named as the author in the video: at most [50 characters](Self::MAX_LABEL).
    pub author: Option<String>,
    /// The website that is shown in the video: at most [50 characters](Self::MAX_LABEL).
    pub domain_name: Option<String>,
}

/// A task that the provider has taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Generated {
    /// The task, as its callback and its details name it.
    pub task_id: String,
    /// Whether the task was there before: the provider answered 409, and nothing new was submitted.
    pub existing: bool,
}

/// As the provider writes it, and as it is stored: the same names, without the callback URL.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    task_id: Cow<'a, str>,
    audio_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call_back_url: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain_name: Option<Cow<'a, str>>,
}

impl GenerateRequest {
    /// The most characters of an author or a domain name.
    pub const MAX_LABEL: usize = 50;

    /// A video of this track of this music task.
    pub fn new(task_id: impl Into<String>, audio_id: impl Into<String>) -> Self {
        Self {
            task_id: task_id.into(),
            audio_id: audio_id.into(),
            author: None,
            domain_name: None,
        }
    }

    /// Names the author in the video, in at most [50 characters](Self::MAX_LABEL).
    #[must_use]
    pub fn with_author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Shows a website in the video, in at most [50 characters](Self::MAX_LABEL).
    #[must_use]
    pub fn with_domain_name(mut self, domain_name: impl Into<String>) -> Self {
        self.domain_name = Some(domain_name.into());
        self
    }

    /// Whether the provider could take it.
    ///
    /// # Errors
    ///
    /// With [`InvalidRequest`](super::ClientErrorKind::InvalidRequest) when an id is empty, or the
    /// author or the domain name is longer than [50 characters](Self::MAX_LABEL).
    pub fn check(&self) -> Result<(), ClientError> {
        let long = |label: &Option<String>| {
            (label.as_ref()).is_some_and(|label| label.chars().count() > Self::MAX_LABEL)
        };
        let problem = if self.task_id.is_empty() {
            "the task id is empty"
        } else if self.audio_id.is_empty() {
            "the audio id is empty"
        } else if long(&self.author) {
            "the author is longer than 50 characters"
        } else if long(&self.domain_name) {
            "the domain name is longer than 50 characters"
        } else {
            return Ok(());
        };
        Err(ClientError::unsent(problem, None))
    }

    /// What is sent.
    pub(super) fn body(&self, callback_url: &str) -> Result<Bytes, ClientError> {
        self.check()?;
        if callback_url.is_empty() {
            return Err(ClientError::unsent("the callback URL is empty", None));
        }
        Ok(self.wire(Some(callback_url)))
    }

    /// What is stored.
    pub(crate) fn encode(&self) -> Bytes {
        self.wire(None)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let wire: Wire<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            task_id: wire.task_id.into_owned(),
            audio_id: wire.audio_id.into_owned(),
            author: wire.author.map(Cow::into_owned),
            domain_name: wire.domain_name.map(Cow::into_owned),
        })
    }

    fn wire(&self, callback_url: Option<&str>) -> Bytes {
        let wire = Wire {
            task_id: Cow::Borrowed(&self.task_id),
            audio_id: Cow::Borrowed(&self.audio_id),
            call_back_url: callback_url.map(Cow::Borrowed),
            author: self.author.as_deref().map(Cow::Borrowed),
            domain_name: self.domain_name.as_deref().map(Cow::Borrowed),
        };
        serde_json::to_vec(&wire)
            .expect("strings always serialize")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_holds_no_callback_url() {
        let bare = GenerateRequest::new("t\"1", "a-ü");
        let full = bare.clone().with_author("A").with_domain_name("d.example");
        for request in [bare, full] {
            let stored = request.encode();
            assert!(!stored.windows(8).any(|part| part == b"callBack"));
            assert_eq!(GenerateRequest::decode(&stored).unwrap(), request);
        }
    }

    #[test]
    fn what_a_later_version_stored_is_read() {
        let stored = br#"{"taskId":"t","audioId":"a","author":null,"new":[1]}"#;
        let request = GenerateRequest::decode(stored).unwrap();
        assert_eq!(request, GenerateRequest::new("t", "a"));
    }
}
