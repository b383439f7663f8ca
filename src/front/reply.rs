//! The replies: constant bytes that never echo input or name a reason.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::{Body, Frame, SizeHint};

use super::Disposition;

/// The body of our replies: a few bytes.
#[derive(Clone, Debug)]
pub struct ReplyBody(Option<Bytes>);

impl ReplyBody {
    pub(crate) fn new(text: String) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// One table for all replies. They take over the maps of the request, emptied, which have room already.
pub(super) fn reply(
    head: request::Parts,
    disposition: Disposition,
    conceal: bool,
    retry_after: &HeaderValue,
) -> Response<ReplyBody> {
    let status = if conceal && !disposition.is_proven() {
        StatusCode::NOT_FOUND
    } else {
        disposition.status()
    };
    let body: &'static str = match status {
        StatusCode::OK => r#"{"status":"received"}"#,
        StatusCode::BAD_REQUEST => r#"{"error":"bad request"}"#,
        StatusCode::UNAUTHORIZED => r#"{"error":"unauthorized"}"#,
        StatusCode::NOT_FOUND => r#"{"error":"not found"}"#,
        StatusCode::METHOD_NOT_ALLOWED => r#"{"error":"method not allowed"}"#,
        StatusCode::REQUEST_TIMEOUT => r#"{"error":"request timeout"}"#,
        StatusCode::PAYLOAD_TOO_LARGE => r#"{"error":"payload too large"}"#,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => r#"{"error":"unsupported media type"}"#,
        StatusCode::UNPROCESSABLE_ENTITY => r#"{"error":"unprocessable"}"#,
        _ => r#"{"error":"unavailable"}"#,
    };
    let mut response = Response::new(ReplyBody(Some(Bytes::from_static(body.as_bytes()))));
    *response.status_mut() = status;
    let request::Parts {
        mut headers,
        mut extensions,
        ..
    } = head;
    headers.clear();
    extensions.clear();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, retry_after.clone());
        }
        _ => {}
    }
    extensions.insert(disposition);
    *response.headers_mut() = headers;
    *response.extensions_mut() = extensions;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Refusal, RefusalKind};

    #[test]
    fn each_reply_says_its_status_and_no_more() {
        let refusal = Refusal::new(RefusalKind::Mismatch, "token");
        for (disposition, said) in [
            (Disposition::Stored, r#"{"status":"received"}"#),
            (Disposition::Malformed, r#"{"error":"bad request"}"#),
            (Disposition::Refused(refusal), r#"{"error":"unauthorized"}"#),
            (
                Disposition::MethodNotAllowed,
                r#"{"error":"method not allowed"}"#,
            ),
            (
                Disposition::TooSlow { proven: true },
                r#"{"error":"request timeout"}"#,
            ),
            (
                Disposition::TooLarge { proven: true },
                r#"{"error":"payload too large"}"#,
            ),
            (
                Disposition::Encoded,
                r#"{"error":"unsupported media type"}"#,
            ),
            (Disposition::Unprocessable, r#"{"error":"unprocessable"}"#),
            (Disposition::Full, r#"{"error":"unavailable"}"#),
        ] {
            let (head, ()) = http::Request::new(()).into_parts();
            let reply = reply(head, disposition, false, &HeaderValue::from_static("60"));
            assert_eq!(reply.status(), disposition.status());
            assert_eq!(reply.into_body().0.unwrap(), said);
        }
    }
}
