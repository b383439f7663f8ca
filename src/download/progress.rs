//! How far a download is, told at a pace that somebody can follow.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::Stream;

use crate::clock::{Clock, Stopwatch};

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that arrived. It falls to zero when a download begins anew, because the server cannot
    /// go on where it was or has something else by now.
    pub done: u64,
    /// Bytes of the whole, if the server said how many.
    pub total: Option<u64>,
}

/// The progress of one download, as a stream: made by [`Fetch::progress`](super::Fetch::progress).
///
/// At most ten items a second (of the downloader's clock), and the last one, which for a download that
/// succeeded is the whole; who looks less often sees only the newest. The stream ends with the download.
pub struct ProgressStream(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    newest: Option<Progress>,
    waker: Option<Waker>,
    ended: bool,
}

impl ProgressStream {
    /// The next item, for those who have no `StreamExt`.
    pub async fn next(&mut self) -> Option<Progress> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for ProgressStream {
    type Item = Progress;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = shared.newest.take() {
            return Poll::Ready(Some(newest));
        }
        if shared.ended {
            return Poll::Ready(None);
        }
        shared.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for ProgressStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressStream").finish_non_exhaustive()
    }
}

const INTERVAL: Duration = Duration::from_millis(100);

/// The end that tells.
pub(super) struct Reporter {
    shared: Arc<Mutex<Shared>>,
    clock: Clock,
    last: Option<Stopwatch>,
}

pub(super) fn channel(clock: Clock) -> (Reporter, ProgressStream) {
    let shared = Arc::<Mutex<Shared>>::default();
    let reporter = Reporter {
        shared: Arc::clone(&shared),
        clock,
        last: None,
    };
    (reporter, ProgressStream(shared))
}

impl Reporter {
    /// Tells it, unless something was told a moment ago.
    pub(super) fn tell(&mut self, progress: Progress) {
        let soon = |last: &Stopwatch| self.clock.elapsed(last) < INTERVAL;
        if !self.last.as_ref().is_some_and(soon) {
            self.last = Some(self.clock.stopwatch());
            self.update(|shared| shared.newest = Some(progress));
        }
    }

    /// Tells the end, which is never left out.
    pub(super) fn tell_last(&mut self, progress: Progress) {
        self.last = None;
        self.tell(progress);
    }

    fn update(&self, change: impl FnOnce(&mut Shared)) {
        let waker = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut shared);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.update(|shared| shared.ended = true);
    }
}
