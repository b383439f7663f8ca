//! What is kept beside a record's body: where the event came from and what its proof said.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::trace_context::{Kept, TraceContext};

/// How an event came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The provider called.
    #[default]
    Callback,
    /// We asked the provider.
    Poll,
}

impl Source {
    /// The word for traces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Poll => "poll",
        }
    }
}

/// [The word for traces and metrics](Self::as_str).
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The head of a callback, as far as it is kept. Stored as JSON, so that an operator can read it
/// in the database, and so that later versions can add members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Milliseconds since the Unix epoch.
    arrived: u64,
    #[serde(default)]
    pub(crate) source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation: Option<String>,
    /// Of the secrets that matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<String>,
    /// Of the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Kept>,
    /// Of the submission that asked for it, or that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submission: Option<Kept>,
    /// Values byte for byte: each `char` is one byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    /// Why the callback is in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Of a callback in quarantine, the hash of the id that the proof had signed: the id itself may
    /// be as long as a body, and only has to be recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_sha256: Option<String>,
    /// Of a callback in quarantine that would have been a hint: how the hint's key begins. It must not
    /// become an event by way of a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
}

impl Meta {
    /// The most bytes of headers that are kept with a record, as they are stored: half of the 16 KiB
    /// that a store takes, so that the rest has room beside them.
    pub(crate) const MAX_HEADERS: usize = 8 * 1024;

    /// How many bytes headers take when they are stored.
    pub(crate) fn size_of(headers: &HeaderMap) -> usize {
        let of = |(name, value): (&HeaderName, &HeaderValue)| {
            // As JSON: quotes, brackets and commas around them, and two bytes for what is escaped or
            // not ASCII.
            let twice = |byte: &&u8| !byte.is_ascii() || matches!(byte, b'"' | b'\\' | b'\t');
            let value = value.as_bytes();
            name.as_str().len() + value.len() + value.iter().filter(twice).count() + 8
        };
        headers.iter().map(of).sum()
    }

    pub(crate) fn new(arrived: SystemTime, headers: &HeaderMap) -> Self {
        Self {
            arrived: millis(arrived),
            source: Source::Callback,
            correlation: None,
            labels: Vec::new(),
            trace: None,
            submission: None,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), latin1(value.as_bytes())))
                .collect(),
            reason: None,
            subject_sha256: None,
            hint: None,
        }
    }

    /// With where the request that brought it stands in its trace.
    pub(crate) fn with_trace(mut self, context: Option<TraceContext>) -> Self {
        self.trace = context.map(Kept::from);
        self
    }

    /// With where the submission that asked for it stands in its trace.
    #[cfg(feature = "client")]
    pub(crate) fn with_submission(mut self, context: Option<TraceContext>) -> Self {
        self.submission = context.map(Kept::from);
        self
    }

    /// Where the request that brought it stands in its trace.
    pub(crate) fn trace_context(&self) -> Option<TraceContext> {
        self.trace.as_ref().and_then(Kept::read)
    }

    /// Where the submission that asked for it stands in its trace.
    pub(crate) fn submission_trace_context(&self) -> Option<TraceContext> {
        self.submission.as_ref().and_then(Kept::read)
    }

    /// Of a callback that goes into quarantine: why, the id that its proof had signed, and how its key
    /// as a hint would have begun.
    pub(crate) fn quarantined(
        mut self,
        reason: String,
        signed: Option<&str>,
        hint: Option<&'static str>,
    ) -> Self {
        self.reason = Some(reason);
        self.hint = hint.map(Cow::Borrowed);
        self.subject_sha256 = signed.map(subject_hash);
        self
    }

    /// Whether an event with this subject is one that the proof stood for.
    pub(crate) fn is_about(&self, subject: Option<&str>) -> bool {
        self.subject_sha256.is_none() || self.subject_sha256 == subject.map(subject_hash)
    }

    /// How the key of a quarantined callback begins if it is no event, but a hint.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// As it would have been for a callback that could be read, with these headers.
    pub(crate) fn out_of_quarantine(self, headers: &HeaderMap) -> Self {
        let mut meta = Self::new(self.arrived(), headers);
        meta.source = self.source;
        meta.correlation = self.correlation;
        meta.labels = self.labels;
        meta.trace = self.trace;
        meta
    }

    pub(crate) fn encode(&self) -> Bytes {
        if self.tells_only_where_from() {
            // As most do. The serializer takes twice as long, and a caller waits for it.
            let source = self.source.as_str().as_bytes();
            let mut number = itoa::Buffer::new();
            let arrived = number.format(self.arrived).as_bytes();
            let parts = [
                br#"{"arrived":"#,
                arrived,
                br#","source":""#,
                source,
                br#""}"#,
            ];
            return parts.concat().into();
        }
        // Strings and integers only: serialization has nothing to fail on.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Whether everything but the arrival and the source is empty, and not stored.
    fn tells_only_where_from(&self) -> bool {
        let Self {
            arrived: _,
            source: _,
            correlation: None,
            labels,
            trace: None,
            submission: None,
            headers,
            reason: None,
            subject_sha256: None,
            hint: None,
        } = self
        else {
            return false;
        };
        labels.is_empty() && headers.is_empty()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(crate) fn arrived(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.arrived)
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.headers
            .iter()
            .filter_map(|(name, value)| {
                let value: Vec<u8> = value
                    .chars()
                    .map(|c| u8::try_from(c).unwrap_or(b'?'))
                    .collect();
                Some((
                    HeaderName::from_bytes(name.as_bytes()).ok()?,
                    HeaderValue::from_bytes(&value).ok()?,
                ))
            })
            .collect()
    }
}

/// The arrival as it is stored. The front reads an event at this precision too, so that the worker
/// sees the very same view.
pub(crate) fn stored_precision(arrived: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis(arrived))
}

fn subject_hash(subject: &str) -> String {
    let hash = Sha256::digest(subject);
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::edges::time;

    proptest! {
        #[test]
        fn an_arrival_at_any_time_is_stored_and_comes_back(arrived in time()) {
            let stored = stored_precision(arrived);
            prop_assert_eq!(stored_precision(stored), stored);
            prop_assert!(stored <= arrived || arrived < UNIX_EPOCH);
            let meta = Meta::new(arrived, &HeaderMap::new());
            let back = Meta::decode(&meta.encode()).unwrap();
            prop_assert_eq!(back.arrived(), stored);
        }
    }

    #[test]
    fn what_is_kept_comes_back_byte_for_byte() {
        let mut headers = HeaderMap::new();
        headers.append("x-id", HeaderValue::from_static("a"));
        headers.append("x-id", HeaderValue::from_bytes(b"\xff\"b").unwrap());
        let now = stored_precision(SystemTime::now());
        let mut meta = Meta::new(now, &headers);
        meta.correlation = Some("order-7".to_owned());
        meta.source = Source::Poll;
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace: TraceContext = parent.parse().unwrap();
        let trace = trace.with_state("vendor=1");
        meta = meta.with_trace(Some(trace.clone()));
        let back = Meta::decode(&meta.encode()).unwrap();
        assert_eq!(back, meta);
        assert_eq!(back.headers(), headers);
        assert_eq!(back.arrived(), now);
        assert_eq!(back.trace_context(), Some(trace));
        assert_eq!(back.submission_trace_context(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_without_the_serializer_is_what_it_would_write(arrived in time()) {
            for source in [Source::Callback, Source::Poll] {
                let mut meta = Meta::new(arrived, &HeaderMap::new());
                meta.source = source;
                prop_assert_eq!(meta.encode(), serde_json::to_vec(&meta).unwrap());
            }
        }
    }

    #[cfg(feature = "client")]
    #[test]
    fn the_trace_of_a_submission_comes_back() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace: TraceContext = parent.parse().unwrap();
        let meta = Meta::new(UNIX_EPOCH, &HeaderMap::new()).with_submission(Some(trace.clone()));
        let back = Meta::decode(&meta.encode()).unwrap();
        assert_eq!(back.submission_trace_context(), Some(trace));
        assert_eq!(back.trace_context(), None);
    }

    #[test]
    fn how_the_key_of_a_hint_begins_comes_back() {
        let meta = Meta::new(UNIX_EPOCH, &HeaderMap::new());
        assert_eq!(meta.hint(), None);
        let hint = meta.quarantined("unread".to_owned(), None, Some("h:"));
        assert_eq!(Meta::decode(&hint.encode()).unwrap().hint(), Some("h:"));
    }

    #[test]
    fn headers_take_as_many_bytes_as_they_were_said_to() {
        let mut headers = HeaderMap::new();
        let empty = Meta::new(UNIX_EPOCH, &headers).encode().len();
        for value in [
            &b"plain"[..],
            b"",
            b"\xff\xe4\x80",
            b"\"quoted\" and \\",
            b"a\tb",
        ] {
            headers.append("x-id", HeaderValue::from_bytes(value).unwrap());
        }
        let stored = Meta::new(UNIX_EPOCH, &headers).encode().len() - empty;
        let said = Meta::size_of(&headers);
        // The list itself has a name, once.
        let list = r#","headers":[]"#.len();
        assert!((said..=said + list).contains(&stored), "{said} of {stored}");
    }

    #[test]
    fn meta_of_an_older_or_newer_version_is_read() {
        let meta = Meta::decode(br#"{"arrived":1735661400000,"from_the_future":[1]}"#).unwrap();
        assert_eq!(meta.source, Source::Callback);
        assert_eq!(meta.correlation, None);
    }
}
