//! Why a call to the provider brought nothing.

use std::{error::Error as StdError, fmt, time::Duration};

use reqwest::StatusCode;

use super::{Code429, answer::Unreadable, exchange::Unread};
use crate::BoxError;

/// Why a call to the provider brought nothing.
///
/// Neither its text nor its sources hold the key, the callback URL or a word of the answer: what the
/// provider says is in [`message`](Self::message), and nowhere else.
pub struct ClientError(Box<Inner>);

struct Inner {
    kind: ClientErrorKind,
    code: Option<i64>,
    status: Option<StatusCode>,
    problem: Option<&'static str>,
    message: Option<String>,
    may_have_been_submitted: bool,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// No connection, or one that broke before the answer was complete.
    Transport,
    /// No complete answer in [time](super::ClientBuilder::with_timeout).
    Timeout,
    /// 401: the provider does not take the key.
    Unauthorized,
    /// 402, and 429 where it [means that](Code429::InsufficientCredits): there is nothing to pay with.
    InsufficientCredits,
    /// 400 or 422, or seen before anything was sent: the request cannot be as it is.
    InvalidRequest,
    /// 404, or an HTTP 405 without a code: nothing is there.
    NotFound,
    /// 409, without the id of the task that is there already.
    Conflict,
    /// 405 or 430, and 429 where it [means that](Code429::RateLimited): called too often.
    RateLimited,
    /// 429, and the client was not told [what it means](super::ClientBuilder::with_code_429): called too
    /// often, or nothing to pay with.
    Ambiguous429,
    /// 455: the provider is being maintained.
    Maintenance,
    /// 413: a text in the request is too long.
    TooLong,
    /// 500 and above: the provider, or something in front of it, failed.
    Server,
    /// An HTTP redirect, which is not followed: the base URL is another one.
    Redirected,
    /// An answer that is not what the provider documents, or too long.
    Unreadable,
    /// A code that nobody documents.
    Other,
}

impl ClientError {
    /// What went wrong.
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// The `code` in the body of the answer, if there was one.
    pub fn code(&self) -> Option<i64> {
        self.0.code
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status.map(|status| status.as_u16())
    }

    /// The provider's words, in its language: show them, never match on them.
    ///
    /// # Security
    ///
    /// They may quote what was sent, so also the callback URL and what proves it. They are in neither
    /// `Display` nor `Debug`.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Whether the very same call may succeed later, without anybody doing anything about it.
    ///
    /// Of a submission, ask [`may_have_been_submitted`](Self::may_have_been_submitted) first.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ClientErrorKind::Transport
            | ClientErrorKind::Timeout
            | ClientErrorKind::RateLimited
            | ClientErrorKind::Ambiguous429
            | ClientErrorKind::Maintenance
            | ClientErrorKind::Server
            | ClientErrorKind::Unreadable => true,
            ClientErrorKind::Unauthorized
            | ClientErrorKind::InsufficientCredits
            | ClientErrorKind::InvalidRequest
            | ClientErrorKind::NotFound
            | ClientErrorKind::Conflict
            | ClientErrorKind::TooLong
            | ClientErrorKind::Redirected
            | ClientErrorKind::Other => false,
        }
    }

    /// Whether the provider may have taken the task although nobody can say so: [`generate`] was sent,
    /// and no answer came that rules it out. To submit again may then be to pay twice.
    ///
    /// False where the request was never sent, and where the provider refused it. True for whatever is
    /// not one of the two: a timeout, a broken connection, an answer that cannot be read, a server
    /// error, a code that nobody documents, and a 409 that does not name the task.
    ///
    /// Always false for [`details`].
    ///
    /// [`generate`]: super::Client::generate
    /// [`details`]: super::Client::details
    pub fn may_have_been_submitted(&self) -> bool {
        self.0.may_have_been_submitted
    }

    /// How long the provider asked to be left alone, if it did: the `Retry-After` of its answer.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    fn new(kind: ClientErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            code: None,
            status: None,
            problem: None,
            message: None,
            may_have_been_submitted: false,
            retry_after: None,
            source: None,
        }))
    }

    /// It was not sent, because it cannot be.
    pub(super) fn unsent(problem: &'static str, source: Option<BoxError>) -> Self {
        let mut error = Self::new(ClientErrorKind::InvalidRequest);
        error.0.problem = Some(problem);
        error.0.source = source;
        error
    }

    /// No answer came. `sent` says whether any of the request may have left.
    pub(super) fn unanswered(unread: Unread, sent: bool) -> Self {
        let (kind, problem, source) = unread.into_parts();
        let mut error = Self::new(kind);
        error.0.problem = problem;
        error.0.source = source;
        error.0.may_have_been_submitted = sent;
        error
    }

    /// An answer with a code.
    pub(super) fn refused(code: i64, message: String, code_429: Option<Code429>) -> Self {
        let (kind, may_have_acted) = match (code, code_429) {
            (405 | 430, _) | (429, Some(Code429::RateLimited)) => {
                (ClientErrorKind::RateLimited, false)
            }
            (429, Some(Code429::InsufficientCredits)) => {
                (ClientErrorKind::InsufficientCredits, false)
            }
            (429, None) => (ClientErrorKind::Ambiguous429, false),
            _ => common(code),
        };
        let mut error = Self::new(kind);
        error.0.code = Some(code);
        error.0.message = Some(message).filter(|message| !message.is_empty());
        error.0.may_have_been_submitted = may_have_acted;
        error
    }

    /// An answer that cannot be read, with a status that is then all there is to go by.
    pub(super) fn unreadable(status: StatusCode, unread: Unread) -> Self {
        if status.is_success() {
            return Self::unanswered(unread, true);
        }
        let (kind, may_have_acted) = match status.as_u16() {
            // *See other* is how a server says that it has done it.
            300..400 => (ClientErrorKind::Redirected, status == StatusCode::SEE_OTHER),
            405 => (ClientErrorKind::NotFound, false),
            408 => (ClientErrorKind::Timeout, true),
            // Not the provider's, whose 429 has a code: something in front of it, which knows no credits.
            429 | 430 => (ClientErrorKind::RateLimited, false),
            status => common(status.into()),
        };
        let (_, problem, source) = unread.into_parts();
        let mut error = Self::new(kind);
        error.0.problem = problem;
        error.0.source = source;
        error.0.may_have_been_submitted = may_have_acted;
        error
    }

    /// An answer with a code, but without what must come with it.
    pub(super) fn incomplete(unreadable: &Unreadable) -> Self {
        let mut error = Self::new(match unreadable.code {
            Some(409) => ClientErrorKind::Conflict,
            _ => ClientErrorKind::Unreadable,
        });
        error.0.code = unreadable.code;
        error.0.problem = Some(unreadable.reason);
        error.0.may_have_been_submitted = true;
        error
    }

    pub(super) fn with_head(mut self, status: StatusCode, retry_after: Option<Duration>) -> Self {
        self.0.status = Some(status);
        self.0.retry_after = retry_after;
        self
    }

    /// Of a call that submits nothing.
    pub(super) fn of_a_question(mut self) -> Self {
        self.0.may_have_been_submitted = false;
        self
    }
}

/// What a code means in the body and as a status, and whether the provider may have acted.
fn common(code: i64) -> (ClientErrorKind, bool) {
    match code {
        400 | 422 => (ClientErrorKind::InvalidRequest, false),
        401 | 403 => (ClientErrorKind::Unauthorized, false),
        402 => (ClientErrorKind::InsufficientCredits, false),
        404 => (ClientErrorKind::NotFound, false),
        409 => (ClientErrorKind::Conflict, true),
        413 => (ClientErrorKind::TooLong, false),
        455 => (ClientErrorKind::Maintenance, false),
        500..600 => (ClientErrorKind::Server, true),
        _ => (ClientErrorKind::Other, true),
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            ClientErrorKind::Transport => "no connection to the provider, or it broke",
            ClientErrorKind::Timeout => "the provider did not answer in time",
            ClientErrorKind::Unauthorized => "the provider does not take the key",
            ClientErrorKind::InsufficientCredits => "the credits are used up",
            ClientErrorKind::InvalidRequest => "the request cannot be as it is",
            ClientErrorKind::NotFound => "the provider has nothing there",
            ClientErrorKind::Conflict => "there is such a task already, and it was not named",
            ClientErrorKind::RateLimited => "the provider was called too often",
            ClientErrorKind::Ambiguous429 => {
                "the provider was called too often, or the credits are used up: say what 429 means \
                 by `with_code_429`"
            }
            ClientErrorKind::Maintenance => "the provider is being maintained",
            ClientErrorKind::TooLong => "a text is too long for the provider",
            ClientErrorKind::Server => "the provider failed",
            ClientErrorKind::Redirected => "the provider's base URL is another one",
            ClientErrorKind::Unreadable => "the provider's answer cannot be read",
            ClientErrorKind::Other => "the provider answered with an unknown code",
        })?;
        if let Some(problem) = self.0.problem {
            write!(f, ": {problem}")?;
        }
        match (self.0.code, self.0.status) {
            (Some(code), _) => write!(f, " (code {code})"),
            (None, Some(status)) => write!(f, " (HTTP {})", status.as_u16()),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("status", &self.0.status)
            .field("problem", &self.0.problem)
            .field("may_have_been_submitted", &self.0.may_have_been_submitted)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
