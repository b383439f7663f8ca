//! One request on a connection of its own.

use std::{convert::Infallible, future::pending};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::{Target, target::Stream};
use crate::BoxError;

/// The most of an answer that anybody reads.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A callback, as the provider sends it.
pub(super) fn request<B>(target: &Target, headers: &HeaderMap, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.clone();
    let head = request.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.extend(headers.clone());
    head.insert(HOST, target.authority.clone());
    request
}

/// Sends a request and reads the answer. `answered` is set as soon as the status is known: what
/// becomes of the rest of the answer changes nothing.
pub(in crate::testing) async fn exchange<B>(
    stream: Stream,
    request: Request<B>,
    answered: &mut Option<StatusCode>,
) -> Result<Response<Bytes>, BoxError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        *answered = Some(head.status);
        let body = Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let connection = async {
        // How it ended is seen by the exchange, which may still have an answer to read.
        let _ = connection.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = connection => match never {},
    }
}

/// Announces the whole body, sends `kept` bytes of it, and closes the connection.
///
/// Written by hand: an HTTP client takes care that this does not happen.
pub(super) async fn cut(
    mut stream: Stream,
    request: Request<()>,
    body: &[u8],
    kept: usize,
) -> std::io::Result<()> {
    let mut bytes = format!("POST {} HTTP/1.1\r\n", request.uri()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body[..kept]);
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}
