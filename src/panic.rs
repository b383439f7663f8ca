//! Panics in code that is not ours, caught where it is called.

use std::{
    any::Any,
    fmt,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

/// Somebody's code panicked, and said this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked {
    text: String,
}

impl Panicked {
    /// The most bytes of a message that are kept: a panic may print a whole body.
    const MAX_LEN: usize = 200;

    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Self {
            text: text[..text.floor_char_boundary(Self::MAX_LEN)].to_owned(),
        }
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.text)
    }
}

impl std::error::Error for Panicked {}

/// Calls `f`, and catches its panic. Whatever `f` may leave half done is not to be used afterwards.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Panicked::new(&*payload))
}

/// Runs `future`, and catches its panic.
pub(crate) fn catch_future<F: Future>(future: F) -> CatchFuture<F> {
    CatchFuture { future }
}

pin_project! {
    /// See [`catch_future`]. After a panic it is not polled again, as after any end.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct CatchFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for CatchFuture<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch(|| future.poll(cx)) {
            Ok(poll) => Poll::Ready(Ok(ready!(poll))),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_tells_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        let told = |result: Result<(), Panicked>| result.unwrap_err().to_string();
        assert_eq!(told(catch(|| panic!("static"))), "panicked: static");
        assert_eq!(told(catch(|| panic!("made {}", 7))), "panicked: made 7");
        assert_eq!(told(catch(|| panic::panic_any(7))), "panicked: no message");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = catch(|| panic!("a{}", "ä".repeat(1000))).unwrap_err();
        assert_eq!(error.text.len(), 199);
    }

    #[tokio::test]
    async fn a_future_that_panics_at_any_poll_is_an_error() {
        assert_eq!(catch_future(async { 7 }).await, Ok(7));
        let error = catch_future(async {
            tokio::task::yield_now().await;
            panic!("late");
        })
        .await;
        assert_eq!(error.unwrap_err().to_string(), "panicked: late");
    }
}
