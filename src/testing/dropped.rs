//! For tests: a future that is dropped at its n-th poll, for every n.
//!
//! Whoever awaits one of ours may leave at any await point: a client hangs up, a deadline passes, a
//! runtime shuts down. The integration tests include this file as well.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Where a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut(usize);

impl Cut {
    /// The future's output, or `None` when it is dropped, which is right after it was polled so many
    /// times without being done. Cut at 0 it is not polled at all.
    pub(crate) fn of<F: Future>(self, future: F) -> impl Future<Output = Option<F::Output>> {
        Doomed {
            future: Some(Box::pin(future)),
            left: self.0,
        }
    }
}

struct Doomed<F> {
    future: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> Future for Doomed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(left) = self.left.checked_sub(1)
            && let Some(future) = &mut self.future
        {
            let poll = future.as_mut().poll(cx).map(Some);
            self.left = left;
            if poll.is_ready() || left > 0 {
                return poll;
            }
        }
        self.future = None;
        Poll::Ready(None)
    }
}

/// Plays a scene with a cut at no poll, at one, at two and so on, until the future in it is done before
/// it could be dropped: the scene says so. It checks what is promised each time.
pub(crate) async fn at_every_poll(scene: impl AsyncFn(Cut) -> bool) {
    /// Where sockets are, the same future is polled a few times more or less.
    const DONE_IN_A_ROW: usize = 3;

    let mut done = 0;
    for polls in 0.. {
        assert!(polls < 10_000, "it never ends");
        done = if scene(Cut(polls)).await { done + 1 } else { 0 };
        if done == DONE_IN_A_ROW {
            return;
        }
    }
}

/// How many random schedules are tried: so many, or what `SEEDS` says.
pub(crate) fn seeds(default: u64) -> u64 {
    match std::env::var("SEEDS") {
        Ok(seeds) => seeds.parse().expect("SEEDS is a number"),
        Err(_) => default,
    }
}
