//! The body of a video file, computed as it is sent.

use std::{
    convert::Infallible,
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Video, connection::Cutter};
use crate::Clock;

/// A part of a video. It gives no length away: that is what the header announces, right or wrong.
pub(super) struct FileBody {
    video: Video,
    left: Range<u64>,
    piece: u64,
    pause: Option<(Clock, Duration)>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Closes the connection after the last byte.
    cutter: Option<Cutter>,
}

/// So many bytes are in memory at once.
const PIECE: u64 = 64 * 1024;

/// So many pauses a slow body makes, if it is short.
const DRIPS: u64 = 8;

impl FileBody {
    pub(super) fn new(video: Video, part: Range<u64>) -> Self {
        Self {
            video,
            left: part,
            piece: PIECE,
            pause: None,
            waiting: None,
            cutter: None,
        }
    }

    /// Takes so long from the first byte to the last.
    pub(super) fn slowly(mut self, all: Duration, clock: Clock) -> Self {
        let bytes = (self.left.end - self.left.start).max(1);
        self.piece = bytes.div_ceil(DRIPS).min(PIECE);
        let pieces = u32::try_from(bytes.div_ceil(self.piece)).unwrap_or(u32::MAX);
        self.pause = Some((clock, all / pieces));
        self
    }

    /// Closes the connection after so many bytes, and after the last one at the latest.
    pub(super) fn cut_after(mut self, bytes: u64, cutter: Cutter) -> Self {
        let end = self.left.start.saturating_add(bytes);
        self.left.end = self.left.end.min(end);
        self.cutter = Some(cutter);
        self
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            return match &this.cutter {
                None => Poll::Ready(None),
                // The connection fails as soon as everything is flushed.
                Some(cutter) => {
                    cutter.cut();
                    Poll::Pending
                }
            };
        }
        if let Some((clock, pause)) = &this.pause {
            let waiting = this.waiting.get_or_insert_with(|| {
                let (clock, pause) = (clock.clone(), *pause);
                Box::pin(async move { clock.sleep(pause).await })
            });
            ready!(waiting.as_mut().poll(cx));
            this.waiting = None;
        }
        let end = this.left.end.min(this.left.start + this.piece);
        let piece = this.video.part(this.left.start..end);
        this.left.start = end;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody")
            .field("video", &self.video)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
