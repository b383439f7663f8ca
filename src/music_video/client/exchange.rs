//! One request and its answer, bounded in time and size.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use reqwest::{RequestBuilder, StatusCode, header::RETRY_AFTER};

use super::{ClientErrorKind, limit::Permit};
use crate::{BoxError, Clock};

/// The most of an answer that is read. What the provider sends has under a thousand bytes, and as much
/// again for a long callback URL.
pub(super) const ANSWER_LIMIT: usize = 256 * 1024;

/// An answer, of which at least the head has come.
pub(super) struct Exchanged {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Result<Bytes, Unread>,
}

/// Why there is nothing to read.
pub(super) enum Unread {
    Late,
    Broken(BoxError),
    TooMuch,
    /// It came, but it is not what it should be.
    Unlike(&'static str),
}

impl Unread {
    pub(super) fn into_parts(self) -> (ClientErrorKind, Option<&'static str>, Option<BoxError>) {
        match self {
            Self::Late => (ClientErrorKind::Timeout, None, None),
            Self::Broken(source) => (ClientErrorKind::Transport, None, Some(source)),
            Self::TooMuch => (
                ClientErrorKind::Unreadable,
                Some("it is longer than 256 KiB"),
                None,
            ),
            Self::Unlike(reason) => (ClientErrorKind::Unreadable, Some(reason), None),
        }
    }
}

/// Sends a request and reads the answer. An error if not even its head came.
pub(super) async fn exchange(
    request: RequestBuilder,
    permit: Permit<'_>,
    clock: &Clock,
    timeout: Duration,
) -> Result<Exchanged, Unread> {
    let mut head = None;
    let body = clock.timeout(timeout, async {
        let mut response = request.send().await.map_err(broken)?;
        // It has arrived there: from now on the window that it counts in can pass.
        drop(permit);
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        head = Some((response.status(), after.map(Duration::from_secs)));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(Unread::TooMuch);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    });
    let body = body.await.unwrap_or(Err(Unread::Late));
    match head {
        Some((status, retry_after)) => Ok(Exchanged {
            status,
            retry_after,
            body,
        }),
        None => Err(body.err().unwrap_or(Unread::Late)),
    }
}

/// Without the URL, which names the task.
fn broken(error: reqwest::Error) -> Unread {
    Unread::Broken(error.without_url().into())
}

/// The body of a submission, which knows whether anybody began to send it.
///
/// As long as nobody did, the provider cannot have acted: it has the head of a request at most.
pub(super) struct Watched {
    body: Full<Bytes>,
    begun: Arc<AtomicBool>,
}

impl Watched {
    pub(super) fn new(body: Bytes) -> (Self, Arc<AtomicBool>) {
        let begun = Arc::new(AtomicBool::new(false));
        let watched = Self {
            body: Full::new(body),
            begun: Arc::clone(&begun),
        };
        (watched, begun)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.begun.store(true, Ordering::SeqCst);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
