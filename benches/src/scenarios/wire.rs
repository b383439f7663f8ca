//! A connection in memory, on which a request comes when the one before was answered, and whose
//! answers go nowhere.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
    vec,
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// Requests of one size, one after the other.
pub(super) struct Wire {
    requests: vec::IntoIter<Vec<u8>>,
    /// What each answer begins with.
    expected: &'static [u8],
    is_answered: bool,
    reader: Option<Waker>,
}

impl Wire {
    pub(super) fn new(requests: Vec<Vec<u8>>, expected: &'static str) -> Self {
        Self {
            requests: requests.into_iter(),
            expected: expected.as_bytes(),
            is_answered: true,
            reader: None,
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_answered {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.is_answered = false;
        if let Some(request) = self.requests.next() {
            buffer.put_slice(&request);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        answer: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(
            answer.starts_with(self.expected),
            "{}",
            answer.escape_ascii()
        );
        self.is_answered = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(answer.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let first = pieces.first().map(|piece| &piece[..]).unwrap_or_default();
        self.poll_write(cx, first).map_ok(|_| length)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
