//! Why a video was not downloaded.

use std::{error::Error as StdError, fmt, io, time::Duration};

use crate::{
    BoxError,
    worker::{GiveUp, RetryAfter},
};

/// Why a video was not downloaded. Nothing of it was left behind.
///
/// In a handler, `?` says all there is to say: an error that no other attempt can mend has a
/// [`GiveUp`] among its sources, and one for which the server named a time to wait a [`RetryAfter`].
///
/// # Security
///
/// It names the host and never the URL, which may hold a signature.
#[derive(Debug)]
pub struct DownloadError {
    kind: DownloadErrorKind,
    host: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Retry(BoxError),
    Later(RetryAfter),
    Never(GiveUp),
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DownloadErrorKind {
    /// What was given is no URL, or not one of https. Final.
    InvalidUrl,
    /// The name that was asked for cannot be the name of a file. Final.
    InvalidName,
    /// The URL, or where it redirects to, is no public address. Final.
    NotPublic,
    /// A redirect to nowhere, or one too many. Final.
    Redirect,
    /// 403, 404 or 410, and no fresh URL was to be had. Retryable, since a file may be published after
    /// its URL; 410 is final.
    Expired,
    /// Another status than that of a file. Retryable for 408, 425, 429 and 5xx, else final.
    Status,
    /// The server could not be reached, or the connection broke again and again. Retryable.
    Connection,
    /// Nothing came for too long, or too little, or it took too long in all. Retryable.
    TooSlow,
    /// The server's lengths contradict each other, or it has something else each time. Retryable.
    Inconsistent,
    /// The server does not say where the file ends, so that a broken connection would look like its
    /// end. Final; a [known digest](super::Fetch::expect_digest) makes up for it.
    UnknownLength,
    /// More bytes than allowed. Final.
    TooLarge,
    /// The server sends the file compressed, which nobody asked for. Final.
    Encoded,
    /// It does not begin as an MP4 file does. Final.
    NotAVideo,
    /// It is not what was expected. Final.
    WrongDigest,
    /// The disk is full, or would go below its reserve. Retryable.
    StorageFull,
    /// The directory or the object store failed. Retryable.
    Storage,
    /// Nobody could be asked for a fresh URL. Retryable.
    Refresh,
}

impl DownloadErrorKind {
    /// The word for traces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUrl => "invalid_url",
            Self::InvalidName => "invalid_name",
            Self::NotPublic => "not_public",
            Self::Redirect => "redirect",
            Self::Expired => "expired",
            Self::Status => "status",
            Self::Connection => "connection",
            Self::TooSlow => "too_slow",
            Self::Inconsistent => "inconsistent",
            Self::UnknownLength => "unknown_length",
            Self::TooLarge => "too_large",
            Self::Encoded => "encoded",
            Self::NotAVideo => "not_a_video",
            Self::WrongDigest => "wrong_digest",
            Self::StorageFull => "storage_full",
            Self::Storage => "storage",
            Self::Refresh => "refresh",
        }
    }

    fn is_retryable(self) -> bool {
        match self {
            Self::Expired
            | Self::Connection
            | Self::TooSlow
            | Self::Inconsistent
            | Self::StorageFull
            | Self::Storage
            | Self::Refresh => true,
            Self::InvalidUrl
            | Self::InvalidName
            | Self::NotPublic
            | Self::Redirect
            | Self::Status
            | Self::UnknownLength
            | Self::TooLarge
            | Self::Encoded
            | Self::NotAVideo
            | Self::WrongDigest => false,
        }
    }
}

impl DownloadError {
    /// What went wrong.
    pub fn kind(&self) -> DownloadErrorKind {
        self.kind
    }

    /// Whether another attempt can mend it.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.cause, Cause::Never(_))
    }

    /// The host that was asked last.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The status of the answer that ended it, if it was the status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn new(kind: DownloadErrorKind, cause: impl Into<BoxError>) -> Self {
        let cause = cause.into();
        Self {
            kind,
            host: None,
            status: None,
            retry_after: None,
            cause: if kind.is_retryable() {
                Cause::Retry(cause)
            } else {
                Cause::Never(GiveUp::new(cause))
            },
        }
    }

    /// A status that is not that of a file: whether it is final depends on which.
    pub(super) fn status_of(status: u16, retry_after: Option<Duration>) -> Self {
        let kind = match status {
            403 | 404 | 410 => DownloadErrorKind::Expired,
            _ => DownloadErrorKind::Status,
        };
        let text = format!("the answer has status {status}");
        let is_retryable = matches!(status, 403 | 404 | 408 | 425 | 429 | 500..=599);
        Self {
            kind,
            host: None,
            status: Some(status),
            retry_after: retry_after.filter(|_| is_retryable),
            cause: match retry_after {
                _ if !is_retryable => Cause::Never(GiveUp::new(text)),
                Some(delay) => Cause::Later(RetryAfter::new(delay, text)),
                None => Cause::Retry(text.into()),
            },
        }
    }

    /// What went wrong on disk or in the object store.
    pub(super) fn storage(cause: impl Into<BoxError>) -> Self {
        let cause = cause.into();
        let kind = if is_full(&*cause) {
            DownloadErrorKind::StorageFull
        } else {
            DownloadErrorKind::Storage
        };
        Self::new(kind, cause)
    }

    /// What the server asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) fn at_host(mut self, host: Option<&str>) -> Self {
        if self.host.is_none() {
            self.host = host.map(str::to_owned);
        }
        self
    }
}

/// Whether there is a full disk among the sources of an error.
fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{QuotaExceeded, StorageFull};
            if matches!(error.kind(), StorageFull | QuotaExceeded) {
                return true;
            }
        }
        next = error.source();
    }
    false
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the video was not downloaded")?;
        match &self.host {
            Some(host) => write!(f, " from {host}"),
            None => Ok(()),
        }
    }
}

impl StdError for DownloadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match &self.cause {
            Cause::Retry(cause) => &**cause,
            Cause::Later(cause) => cause,
            Cause::Never(cause) => cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::chain, worker::HandlerError};

    #[test]
    fn an_error_tells_the_worker_whether_to_try_again() {
        fn handled(error: DownloadError) -> String {
            fn handler(error: DownloadError) -> Result<(), HandlerError> {
                Err(error)?;
                Ok(())
            }
            format!("{:?}", handler(error).unwrap_err().verdict())
        }
        let minute = Duration::from_secs(60);
        let gone = DownloadError::status_of(410, Some(minute));
        assert_eq!(handled(gone), "GiveUp");
        assert_eq!(handled(DownloadError::status_of(404, None)), "Retry");
        let busy = DownloadError::status_of(503, Some(minute));
        assert!(busy.is_retryable());
        assert_eq!(handled(busy), "RetryAfter(60s)");
        assert_eq!(handled(DownloadError::storage("x")), "Retry");
        let html = DownloadError::new(DownloadErrorKind::NotAVideo, "html");
        assert!(!html.is_retryable());
        assert_eq!(handled(html), "GiveUp");
    }

    #[test]
    fn a_full_disk_is_recognised_under_other_errors() {
        let full = io::Error::other(GiveUp::new("a"));
        assert_eq!(
            DownloadError::storage(full).kind(),
            DownloadErrorKind::Storage
        );
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let wrapped = object_store::Error::Generic {
            store: "a store",
            source: Box::new(full),
        };
        assert_eq!(
            DownloadError::storage(wrapped).kind(),
            DownloadErrorKind::StorageFull
        );
    }

    #[test]
    fn the_text_names_the_host_and_the_reason() {
        let error = DownloadError::new(DownloadErrorKind::TooLarge, "it is too large");
        let error = error
            .at_host(Some("example.com"))
            .at_host(Some("b.example"));
        assert_eq!(
            chain(&error),
            "the video was not downloaded from example.com: it is too large"
        );
    }
}
