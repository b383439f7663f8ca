//! What the front answers, over real sockets: the replies, the limits, the faults.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod body;
mod budget;
#[path = "../../src/testing/capture.rs"]
mod capture;
#[allow(dead_code, reason = "this file uses its own part of it")]
#[path = "../../src/testing/dropped.rs"]
mod dropped;
mod event;
mod faults;
mod handler;
mod hang_up;
mod order;
mod panics;
mod proof;
mod readiness;
mod release;
mod signature;
mod spans;
mod test_callback;
mod traces;

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use support::{SECRET, Server, serve_hyper};
use tower_callback::{
    CallbackService, Callbacks, Event, MemoryStore, MusicVideo, Token, Verify,
    store::{Counts, Inspect, Queue, Store},
};

const NAME: &str = "music-video";

/// An endpoint behind a socket, and the store behind the endpoint.
struct Rig {
    server: Server,
    service: CallbackService,
    store: MemoryStore,
}

type Builder<E = MusicVideo> = Callbacks<E, MemoryStore>;

/// The paved way: a token in the query.
async fn rig() -> Rig {
    rig_with(|builder| builder).await
}

/// The same with other settings.
async fn rig_with(set: impl FnOnce(Builder) -> Builder) -> Rig {
    rig_of(Token::query("token", SECRET), set).await
}

/// With another proof, or another event.
async fn rig_of<E: Event>(proof: impl Verify, set: impl FnOnce(Builder<E>) -> Builder<E>) -> Rig {
    let store = MemoryStore::new();
    let service = set(Callbacks::<E>::new(NAME, proof).store(store.clone()))
        .build_front()
        .unwrap();
    Rig {
        server: serve_hyper(service.clone()).await,
        service,
        store,
    }
}

impl Rig {
    /// A POST with the right token: its status.
    async fn send(&self, body: impl AsRef<[u8]>) -> u16 {
        support::status(self.server.addr, &support::url(), body).await
    }

    async fn counts(&self) -> Counts {
        self.store.counts(&Queue::events(NAME)).await.unwrap()
    }

    /// How many events wait.
    async fn pending(&self) -> u64 {
        self.counts().await.pending
    }

    /// How many callbacks are in quarantine.
    async fn quarantined(&self) -> u64 {
        let queue = Queue::quarantine(NAME);
        self.store.counts(&queue).await.unwrap().pending
    }

    /// That nothing was stored anywhere.
    async fn assert_untouched(&self) {
        assert_eq!((self.pending().await, self.quarantined().await), (0, 0));
    }

    /// The body that is stored for a task.
    async fn stored(&self, task: &str) -> Option<Bytes> {
        let queue = Queue::events(NAME);
        let found = self.store.find(&queue, task.as_bytes()).await.unwrap();
        found.and_then(|found| found.body)
    }
}

/// A body that never comes.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// What a future comes to if it is polled once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}
