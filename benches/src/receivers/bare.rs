//! The floor: hyper, which reads the body and answers a constant.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::RECEIVED;

pub(crate) async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off is the connection's trouble.
    let _ = request.into_body().collect().await;
    Ok(constant())
}

/// The same for those who do not look at the body.
pub(crate) async fn answer_unread(
    _: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(constant())
}

fn constant() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(RECEIVED)));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}
