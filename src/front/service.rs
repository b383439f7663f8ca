//! The leaf: a service that receives callbacks, whatever the path.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::{CallbackFuture, CallbackLayer, Endpoint, ReplyBody, receive::receive};
use crate::{BoxError, error::BuildError};

/// A service that receives the callbacks of one endpoint, whatever the path: mount it where the
/// callback URL leads.
///
/// In axum, `Router::route_service` is the paved way; for bare hyper and tonic,
/// [`layer`](Self::layer) makes a [`CallbackLayer`] around the finished app. It is always ready, and
/// never fails: failures are answered with 503.
///
/// Clones are the same endpoint.
#[derive(Clone)]
pub struct CallbackService {
    endpoint: Arc<Endpoint>,
}

impl CallbackService {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
        }
    }

    /// A layer that takes the callbacks out of the traffic of an app, and leaves all other requests alone.
    ///
    /// `path` is matched exactly, with one trailing slash tolerated. It may end in `/{token}`, for
    /// proofs that read the last segment; the path without that segment is ours too then, and is refused.
    ///
    /// # Errors
    ///
    /// When `path` is no path, or the proof reads a segment that it lacks.
    pub fn layer(&self, path: &str) -> Result<CallbackLayer, BuildError> {
        CallbackLayer::new(Arc::clone(&self.endpoint), path)
    }

    /// Whether callbacks that are received now will be handled. A [`Health`](crate::health::Health) answers probes
    /// with it, and knows of the store, too.
    ///
    /// # Errors
    ///
    /// When the endpoint's worker is not running yet, was dropped or has ended: callbacks would be
    /// stored, and nobody would handle them. A front built alone is ready, since its worker runs
    /// elsewhere.
    pub async fn readiness(&self) -> Result<(), NotReady> {
        self.endpoint.readiness()
    }
}

impl CallbackService {
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.name)
    }
}

impl<B> Service<Request<B>> for CallbackService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = CallbackFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> CallbackFuture {
        receive(&self.endpoint, request, None)
    }
}

impl fmt::Debug for CallbackService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackService")
            .field("endpoint", &self.endpoint.name())
            .finish_non_exhaustive()
    }
}

/// Why an endpoint is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint {endpoint:?} is not ready: {reason}")]
pub struct NotReady {
    pub(super) endpoint: Arc<str>,
    pub(super) reason: &'static str,
}
