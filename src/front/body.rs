//! Reading a body, bounded.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::task::coop::consume_budget;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    Interrupted,
}

/// Whether the head announces more than `limit` bytes. Then nothing is read.
pub(super) fn announces_more<B: Body>(headers: &HeaderMap, body: &B, limit: usize) -> bool {
    let hint = body.size_hint();
    let announced = hint.exact().or_else(|| {
        let length = headers.get(CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    });
    announced.unwrap_or(0).max(hint.lower()) > limit as u64
}

/// Reads at most `limit` bytes. A body that arrives in one piece is not copied.
pub(super) async fn read<B: Body>(body: B, limit: usize) -> Result<Bytes, BodyError> {
    let mut body = std::pin::pin!(body);
    let mut only = Bytes::new();
    let mut pieces = BytesMut::new();
    loop {
        // One that always has a frame, and be it an empty one, must not keep its task from the clock.
        consume_budget().await;
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|_| BodyError::Interrupted)?;
        // Trailers say nothing that we read.
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        let size = data.remaining();
        if size > limit.saturating_sub(only.len() + pieces.len()) {
            return Err(BodyError::TooLarge);
        }
        if size == 0 {
            continue;
        }
        if only.is_empty() && pieces.is_empty() {
            only = data.copy_to_bytes(size);
            continue;
        }
        // What is held before proof is counted by its bytes: each is held once.
        pieces.extend_from_slice(&std::mem::take(&mut only));
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len();
            pieces.extend_from_slice(chunk);
            data.advance(length);
        }
    }
    if pieces.is_empty() {
        return Ok(only);
    }
    Ok(pieces.freeze())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::Frame;

    use super::*;

    struct Chunks(VecDeque<&'static str>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = self.0.pop_front();
            Poll::Ready(next.map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes())))))
        }
    }

    fn chunks<const N: usize>(chunks: [&'static str; N]) -> Chunks {
        Chunks(chunks.into())
    }

    #[tokio::test]
    async fn a_body_in_any_chunks_is_read_whole_up_to_the_limit() {
        assert_eq!(read(chunks([]), 5).await.unwrap(), "");
        assert_eq!(
            read(chunks(["", "ab", "", "cd", "e"]), 5).await.unwrap(),
            "abcde"
        );
        assert_eq!(
            read(chunks(["ab", "cd", "ef"]), 5).await.unwrap_err(),
            BodyError::TooLarge
        );
    }
}
