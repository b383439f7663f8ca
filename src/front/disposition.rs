//! The outcomes of a request, and the status of each.

use std::fmt;

use http::StatusCode;

use crate::verify::Refusal;

/// What became of a request. It stands in the extensions of each of our responses, for middleware
/// that counts or traces; the caller sees only the status.
///
/// | status | dispositions |
/// | --- | --- |
/// | 200 | [`Stored`](Self::Stored), [`Upgraded`](Self::Upgraded), [`Repeated`](Self::Repeated), [`Accepted`](Self::Accepted), [`Tested`](Self::Tested) |
/// | 400 | [`Malformed`](Self::Malformed) (quarantined), [`Interrupted`](Self::Interrupted) |
/// | 401 | [`Refused`](Self::Refused): the same reply whatever was wrong |
/// | 405 | [`MethodNotAllowed`](Self::MethodNotAllowed) |
/// | 408 | [`TooSlow`](Self::TooSlow) |
/// | 413 | [`TooLarge`](Self::TooLarge) |
/// | 415 | [`Encoded`](Self::Encoded), [`ContentType`](Self::ContentType) (quarantined) |
/// | 422 | [`Unprocessable`](Self::Unprocessable) (quarantined) |
/// | 503 | all others, with `Retry-After` |
///
/// With [`conceal`](crate::Callbacks::conceal), every reply before proof is one and the same 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// A new event, durable now.
    Stored,
    /// An event that replaces one of lower rank, durable now.
    Upgraded,
    /// An event that was there already.
    Repeated {
        /// Whether its bytes were others.
        differs: bool,
    },
    /// The user's own function took the event.
    Accepted,
    /// A [test callback](super::TEST_CALLBACK): answered as a new event, and kept nowhere.
    Tested,
    /// Not a POST.
    MethodNotAllowed,
    /// The caller did not prove himself.
    Refused(Refusal),
    /// The body, or the headers that are kept with it, are over the limit.
    TooLarge {
        /// Whether the caller had proved himself by then.
        proven: bool,
    },
    /// The body did not arrive in time.
    TooSlow {
        /// Whether the caller had proved himself by then.
        proven: bool,
    },
    /// The body broke off.
    Interrupted {
        /// Whether the caller had proved himself by then.
        proven: bool,
    },
    /// The body has a content encoding, which we do not read.
    Encoded,
    /// The content type is not JSON, and [`strict_content_type`](crate::Callbacks::strict_content_type) was asked for.
    ContentType,
    /// The body is not the format at all.
    Malformed,
    /// The body is well-formed, but not this event.
    Unprocessable,
    /// All places for bodies of callers without proof stayed taken.
    Overloaded,
    /// The store has no room for new records.
    Full,
    /// The record to upgrade was held by somebody's open transaction.
    Busy,
    /// The store failed.
    StoreFailed,
    /// The user's own function did not take the event.
    NotAccepted,
    /// The answer was not ready by the ack deadline.
    Late {
        /// Whether the caller had proved himself by then.
        proven: bool,
    },
    /// User code panicked.
    Panicked {
        /// Whether the caller had proved himself by then.
        proven: bool,
    },
}

impl Disposition {
    /// The status that it is answered with, unless concealed.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Stored
            | Self::Upgraded
            | Self::Repeated { .. }
            | Self::Accepted
            | Self::Tested => StatusCode::OK,
            Self::Malformed | Self::Interrupted { .. } => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded | Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Overloaded
            | Self::Full
            | Self::Busy
            | Self::StoreFailed
            | Self::NotAccepted
            | Self::Late { .. }
            | Self::Panicked { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Upgraded => "upgraded",
            Self::Repeated { .. } => "repeated",
            Self::Accepted => "accepted",
            Self::Tested => "tested",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Refused(_) => "refused",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow { .. } => "too_slow",
            Self::Interrupted { .. } => "interrupted",
            Self::Encoded => "encoded",
            Self::ContentType => "content_type",
            Self::Malformed => "malformed",
            Self::Unprocessable => "unprocessable",
            Self::Overloaded => "overloaded",
            Self::Full => "full",
            Self::Busy => "busy",
            Self::StoreFailed => "store_failed",
            Self::NotAccepted => "not_accepted",
            Self::Late { .. } => "late",
            Self::Panicked { .. } => "panicked",
        }
    }

    /// Whether the caller had proved himself when it was decided. What is decided before is concealed.
    pub(super) fn is_proven(self) -> bool {
        match self {
            Self::MethodNotAllowed | Self::Refused(_) | Self::Overloaded => false,
            Self::TooLarge { proven }
            | Self::TooSlow { proven }
            | Self::Interrupted { proven }
            | Self::Late { proven }
            | Self::Panicked { proven } => proven,
            _ => true,
        }
    }
}

/// [The word for traces](Self::as_str).
impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
