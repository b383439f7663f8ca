//! A body that takes its time.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::Clock;

/// A body that comes in drips, with a pause before each.
pub(super) struct Drip {
    left: Bytes,
    drip: usize,
    pause: Duration,
    clock: Clock,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// More would not make a body slower, only busier.
const DRIPS: usize = 8;

impl Drip {
    /// A body that takes `all` on this clock, from first to last byte.
    pub(super) fn new(body: Bytes, all: Duration, clock: Clock) -> Self {
        Self {
            drip: body.len().div_ceil(DRIPS).max(1),
            left: body,
            pause: all / DRIPS as u32,
            clock,
            waiting: None,
        }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let waiting = this.waiting.get_or_insert_with(|| {
            let (clock, pause) = (this.clock.clone(), this.pause);
            Box::pin(async move { clock.sleep(pause).await })
        });
        ready!(waiting.as_mut().poll(cx));
        this.waiting = None;
        let drip = this.left.split_to(this.drip.min(this.left.len()));
        Poll::Ready(Some(Ok(Frame::data(drip))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

impl fmt::Debug for Drip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drip")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
