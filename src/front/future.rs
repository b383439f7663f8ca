//! The future of the leaf.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use tracing::{Instrument, Span, instrument::Instrumented};

use super::ReplyBody;

/// The future of a [`CallbackService`](super::CallbackService).
///
/// Who is refused by his head is answered from a future that was ready when it was made, and that
/// is not boxed.
pub struct CallbackFuture(State);

enum State {
    Ready(Option<Response<ReplyBody>>),
    Running(Instrumented<Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>>),
}

impl CallbackFuture {
    pub(super) fn ready(response: Response<ReplyBody>) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(super) fn running(
        future: impl Future<Output = Response<ReplyBody>> + Send + 'static,
        span: Span,
    ) -> Self {
        let future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(future);
        Self(State::Running(future.instrument(span)))
    }
}

impl Future for CallbackFuture {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(response) => Poll::Ready(Ok(response
                .take()
                .expect("a future is not polled after it was ready"))),
            State::Running(future) => Pin::new(future).poll(cx).map(Ok),
        }
    }
}

impl fmt::Debug for CallbackFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackFuture")
    }
}
