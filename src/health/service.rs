//! The service that answers probes.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tower::Service;

use super::Health;
use crate::front::ReplyBody;

/// Answers readiness probes with 200 or 503, whatever the path: made by [`Health::service`].
///
/// It answers GET and HEAD, and reads no body. It asks for no proof, and what it tells are
/// names of endpoints and numbers: mount it where strangers do not come if those are nobody's business.
#[derive(Clone, Debug)]
pub struct HealthService {
    health: Health,
}

impl HealthService {
    pub(super) fn new(health: Health) -> Self {
        Self { health }
    }
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = HealthFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> HealthFuture {
        let method = request.method().clone();
        let health = self.health.clone();
        HealthFuture(Box::pin(async move {
            if method != Method::GET && method != Method::HEAD {
                let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, String::new());
                let allowed = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(header::ALLOW, allowed);
                return response;
            }
            let report = health.check().await;
            let status = match report.is_ready() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let body = match method {
                Method::HEAD => String::new(),
                _ => report.to_json(),
            };
            answer(status, body)
        }))
    }
}

fn answer(status: StatusCode, body: String) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The future of [`HealthService`].
pub struct HealthFuture(Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>);

impl Future for HealthFuture {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for HealthFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthFuture")
    }
}
