//! The service that [`CallbackLayer`](super::CallbackLayer) makes, its future and its body.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::Service;

use super::{CallbackFuture, ReplyBody, layer::Mount, path::Match, receive::receive};
use crate::BoxError;

/// An app from whose traffic the callbacks are taken.
///
/// # Readiness
///
/// Always ready, since a callback must not wait behind a busy app. The app's own readiness is
/// polled and remembered: a foreign request goes to a ready app directly, and waits in its own
/// future for one that is not. When a callback comes, the app that was made ready for nothing is
/// put back as a fresh clone, so that the permit of a `ConcurrencyLimit` returns. Hence `LoadShed`
/// belongs inside the layer: outside it would never see the app busy.
///
/// # Bounds
///
/// It is a service where the data `R::Data` of the app's response body is `From<Bytes>`: one body type
/// has both the app's responses and our replies, which are `Bytes`.
pub struct Intercept<S> {
    inner: S,
    is_ready: bool,
    mount: Arc<Mount>,
}

impl<S> Intercept<S> {
    pub(super) fn new(inner: S, mount: Arc<Mount>) -> Self {
        Self {
            inner,
            is_ready: false,
            mount,
        }
    }
}

/// A clone is not ready, as clones of services are not.
impl<S: Clone> Clone for Intercept<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.mount))
    }
}

impl<S: fmt::Debug> fmt::Debug for Intercept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercept")
            .field("inner", &self.inner)
            .field("endpoint", &self.mount.endpoint.name())
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Intercept<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    R: Body,
    R::Data: From<Bytes>,
{
    type Response = Response<InterceptBody<R>>;
    type Error = S::Error;
    type Future = InterceptFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if !self.is_ready {
            match self.inner.poll_ready(cx) {
                Poll::Ready(Ok(())) => self.is_ready = true,
                Poll::Pending => {}
                // A broken app still lets callbacks through. The foreign request that comes polls
                // it again, and gets its error then.
                Poll::Ready(Err(_)) => self.inner = self.inner.clone(),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match self.mount.path.match_path(request.uri().path()) {
            Match::Ours(token) => {
                if mem::take(&mut self.is_ready) {
                    self.inner = self.inner.clone();
                }
                State::Ours {
                    future: receive(
                        &self.mount.endpoint,
                        request,
                        Some((&self.mount.path, token)),
                    ),
                }
            }
            foreign => {
                if foreign == Match::NearMiss {
                    self.warn_of_near_miss();
                }
                if mem::take(&mut self.is_ready) {
                    State::Foreign {
                        future: self.inner.call(request),
                    }
                } else {
                    // The one that was polled goes, since it may hold a place in a queue.
                    let fresh = self.inner.clone();
                    State::Waiting {
                        waiting: Some((mem::replace(&mut self.inner, fresh), request)),
                    }
                }
            }
        };
        InterceptFuture { state }
    }
}

impl<S> Intercept<S> {
    #[cold]
    fn warn_of_near_miss(&self) {
        // The path itself is not shown: its last segment may be the token.
        if let Some(held_back) = self.mount.near_misses.pass() {
            tracing::warn!(
                endpoint = self.mount.endpoint.name(),
                path = ?self.mount.path,
                held_back,
                "a request's path is the callback path but for case or doubled slashes, and goes to \
                 the app: is the callback URL mistyped?"
            );
        }
    }
}

pin_project! {
    /// The future of [`Intercept`]. It is not boxed, for foreign requests.
    pub struct InterceptFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Foreign {
            #[pin]
            future: F,
        },
        Waiting {
            waiting: Option<(S, Request<B>)>,
        },
        Ours {
            #[pin]
            future: CallbackFuture,
        },
    }
}

impl<S, B, R> Future for InterceptFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<InterceptBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Foreign { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(response.map(InterceptBody::inner)));
                }
                StateProj::Waiting { waiting } => {
                    if let Some((inner, _)) = waiting {
                        ready!(inner.poll_ready(cx))?;
                    }
                    let (mut inner, request) = waiting
                        .take()
                        .expect("a future is not polled after it was ready");
                    let future = inner.call(request);
                    state.set(State::Foreign { future });
                }
                StateProj::Ours { future } => {
                    let response = match ready!(future.poll(cx)) {
                        Ok(response) => response,
                        Err(never) => match never {},
                    };
                    return Poll::Ready(Ok(response.map(InterceptBody::reply)));
                }
            }
        }
    }
}

impl<S, B> fmt::Debug for InterceptFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InterceptFuture")
    }
}

pin_project! {
    /// The body of [`Intercept`]'s responses: the app's own, or our reply.
    #[derive(Debug)]
    pub struct InterceptBody<R> {
        #[pin]
        kind: BodyKind<R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = BodyKindProj]
    enum BodyKind<R> {
        Inner {
            #[pin]
            body: R,
        },
        Reply {
            #[pin]
            body: ReplyBody,
        },
    }
}

impl<R> InterceptBody<R> {
    fn inner(body: R) -> Self {
        Self {
            kind: BodyKind::Inner { body },
        }
    }

    fn reply(body: ReplyBody) -> Self {
        Self {
            kind: BodyKind::Reply { body },
        }
    }
}

impl<R> Body for InterceptBody<R>
where
    R: Body,
    R::Data: From<Bytes>,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        match self.project().kind.project() {
            BodyKindProj::Inner { body } => body.poll_frame(cx),
            BodyKindProj::Reply { body } => match ready!(body.poll_frame(cx)) {
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame.map_data(R::Data::from)))),
                Some(Err(never)) => match never {},
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Inner { body } => body.is_end_stream(),
            BodyKind::Reply { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Inner { body } => body.size_hint(),
            BodyKind::Reply { body } => body.size_hint(),
        }
    }
}
