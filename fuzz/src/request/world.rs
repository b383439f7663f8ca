//! What stands around the front: a body that does as it is told, an app, a store.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::Service;
use tower_callback::{
    MemoryStore,
    clock::ManualClock,
    store::{Durability, Inbox, Inserted, NewRecord, StoreError},
};

use super::case::Step;

/// A body that does as it is told, and counts how often it is asked.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: VecDeque<Step>,
    pub(super) polls: Arc<AtomicUsize>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Step::Error) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                Poll::Pending
            }
        }
    }
}

/// An app that keeps what it was sent, and answers like nobody else.
#[derive(Debug)]
pub(super) struct App {
    pub(super) seen: Arc<Mutex<Vec<(request::Parts, Script)>>>,
    /// Whether it is not ready when it is asked for the first time.
    busy: bool,
    asked: bool,
    is_ready: bool,
}

/// A clone is not ready, and is asked anew.
impl Clone for App {
    fn clone(&self) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            ..Self::new(self.busy)
        }
    }
}

pub(super) const APP_STATUS: StatusCode = StatusCode::IM_A_TEAPOT;
pub(super) const APP_BODY: &[u8] = b"the app's own \xff";

impl App {
    pub(super) fn new(busy: bool) -> Self {
        Self {
            seen: Arc::default(),
            busy,
            asked: false,
            is_ready: false,
        }
    }
}

impl Service<Request<Script>> for App {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.busy && !self.asked {
            self.asked = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Script>) -> Self::Future {
        assert!(self.is_ready, "the app is called when it is ready");
        self.is_ready = false;
        let mut seen = self.seen.lock().expect("no panic while it is held");
        seen.push(request.into_parts());
        let mut response = Response::new(Full::new(Bytes::from_static(APP_BODY)));
        *response.status_mut() = APP_STATUS;
        ready(Ok(response))
    }
}

/// A memory store that may say that it is durable.
pub(super) struct Kept {
    pub(super) store: MemoryStore,
    pub(super) durable: bool,
}

impl Inbox for Kept {
    fn durability(&self) -> Durability {
        if self.durable {
            Durability::Durable
        } else {
            Durability::Volatile
        }
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.store.insert(records).await
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        self.store.manual_clock()
    }
}
