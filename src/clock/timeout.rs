//! A future, and the time that it has.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::coop::unconstrained;

/// Runs `future` until the sleep is over that `sleep` makes when there is something to wait for: most of
/// what we call is ready at once, and needs no timer.
pub(super) fn timeout<F, M, S>(future: F, sleep: M) -> Timeout<F, M, S>
where
    F: Future,
    M: FnOnce() -> S,
    S: Future<Output = ()>,
{
    Timeout {
        future,
        make: Some(sleep),
        sleep: None,
    }
}

pin_project! {
    /// See [`timeout`]. No `async fn`, which would keep the future twice, and in nested ones four times.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct Timeout<F, M, S> {
        #[pin]
        future: F,
        make: Option<M>,
        // In a box, since what never waits should not carry it about.
        sleep: Option<Pin<Box<S>>>,
    }
}

impl<F, M, S> Future for Timeout<F, M, S>
where
    F: Future,
    M: FnOnce() -> S,
    S: Future<Output = ()>,
{
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(make) = this.make.take() {
            *this.sleep = Some(Box::pin(make()));
        }
        let Some(sleep) = this.sleep else {
            return Poll::Pending;
        };
        // A future that has used up its task's budget must not keep the time from being looked at.
        pin!(unconstrained(sleep.as_mut())).poll(cx).map(|()| None)
    }
}
