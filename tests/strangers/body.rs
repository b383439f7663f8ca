//! Bodies that come as they are told to.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower_callback::BoxError;

/// A body in pieces.
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    then: Then,
}

enum Then {
    End,
    Fail(String),
    Hang,
}

impl Chunks {
    pub(crate) fn of(body: impl Into<Bytes>) -> Self {
        Self::many([body.into()])
    }

    pub(crate) fn many(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            chunks: chunks.into_iter().collect(),
            then: Then::End,
        }
    }

    /// The connection breaks after that, and the error says this.
    pub(crate) fn then_fails(mut self, text: &str) -> Self {
        self.then = Then::Fail(text.to_owned());
        self
    }

    /// Nothing comes after that.
    pub(crate) fn then_hangs(mut self) -> Self {
        self.then = Then::Hang;
        self
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match &self.then {
            Then::End => Poll::Ready(None),
            Then::Fail(text) => Poll::Ready(Some(Err(text.clone().into()))),
            Then::Hang => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
