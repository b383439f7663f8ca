//! What a caller presents.

use std::{fmt, time::SystemTime};

use http::{Extensions, HeaderMap, Method, Uri, request};

/// What a caller presents to prove himself: the request's head, when it arrived, and the body once it is there.
///
/// Its `Debug` output shows neither URI nor headers: both may hold the secret.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    head: &'a request::Parts,
    arrived: SystemTime,
    segment: Segment<'a>,
    body: Option<&'a [u8]>,
}

/// The path segment that may hold a token. It is looked for when somebody asks, which few proofs do.
#[derive(Clone, Copy)]
enum Segment<'a> {
    Last,
    OfPattern(Option<&'a str>),
}

impl<'a> Presented<'a> {
    /// A head without its body. The [segment](Self::segment) is the last one of the path that is not empty.
    pub fn new(head: &'a request::Parts, arrived: SystemTime) -> Self {
        Self {
            head,
            arrived,
            segment: Segment::Last,
            body: None,
        }
    }

    /// The same with the segment that a pattern such as `/callback/{token}` matched, or none.
    #[must_use]
    pub fn with_segment(mut self, segment: Option<&'a str>) -> Self {
        self.segment = Segment::OfPattern(segment);
        self
    }

    /// The same with the body, byte for byte.
    #[must_use]
    pub fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        &self.head.method
    }

    /// The URI.
    pub fn uri(&self) -> &'a Uri {
        &self.head.uri
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        &self.head.headers
    }

    /// The extensions, in which servers and middleware say who the peer is.
    pub fn extensions(&self) -> &'a Extensions {
        &self.head.extensions
    }

    /// When the request's head arrived.
    pub fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// The path segment that may hold a token.
    pub fn segment(&self) -> Option<&'a str> {
        match self.segment {
            Segment::Last => {
                let mut segments = self.head.uri.path().rsplit('/');
                segments.find(|segment| !segment.is_empty())
            }
            Segment::OfPattern(segment) => segment,
        }
    }

    /// The body, when it was asked for.
    pub fn body(&self) -> Option<&'a [u8]> {
        self.body
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("method", self.method())
            .field("arrived", &self.arrived)
            .field("body", &self.body.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}
