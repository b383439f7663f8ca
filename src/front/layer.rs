//! The layer around an app.

use std::{fmt, sync::Arc};

use tower::Layer;

use super::{Endpoint, Intercept, log::LogLimit, path::PathPattern};
use crate::{error::BuildError, verify::Setup};

/// Takes the callbacks out of the traffic of an app: made by
/// [`CallbackService::layer`](super::CallbackService::layer).
///
/// In axum, mount it last (`app.layer(layer)`) or use `route_service` with the leaf; a fallback that
/// is added after the layer would answer in its place.
///
/// The app's response bodies must have `Data: From<Bytes>`, as `Bytes` itself has, and so the bodies of
/// axum, hyper and tonic: our replies are `Bytes`, and go out as frames of the app's own kind. Map the
/// body of an app whose data is of another kind first.
#[derive(Clone)]
pub struct CallbackLayer {
    mount: Arc<Mount>,
}

/// An endpoint at a path.
pub(super) struct Mount {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) path: PathPattern,
    pub(super) near_misses: LogLimit,
}

impl CallbackLayer {
    pub(super) fn new(endpoint: Arc<Endpoint>, path: &str) -> Result<Self, BuildError> {
        let path = PathPattern::parse(path)?;
        endpoint
            .proof()
            .check(&Setup::layer(endpoint.name(), path.has_token()))?;
        Ok(Self {
            mount: Arc::new(Mount {
                endpoint,
                path,
                near_misses: LogLimit::default(),
            }),
        })
    }
}

impl<S> Layer<S> for CallbackLayer {
    type Service = Intercept<S>;

    fn layer(&self, inner: S) -> Intercept<S> {
        Intercept::new(inner, Arc::clone(&self.mount))
    }
}

impl fmt::Debug for CallbackLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackLayer")
            .field("endpoint", &self.mount.endpoint.name())
            .field("path", &self.mount.path)
            .finish_non_exhaustive()
    }
}
