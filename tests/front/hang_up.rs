//! A caller may hang up at any point: what was acknowledged is kept, once, and what he took is free
//! again.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::task::yield_now;
use tower::{Layer, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_callback::{
    Callbacks, MemoryStore, MusicVideo, Token, Verify,
    store::{Durability, Inbox, Inserted, Inspect, NewRecord, Queue, StoreError},
    verify::Verdict,
    verify_fn,
};

use crate::{
    NAME,
    dropped::at_every_poll,
    rig,
    support::{PATH, SECRET, SUCCESS, url},
};

/// A store that takes its time and calls itself durable, so that the commit stands before it.
struct Slow(MemoryStore);

impl Inbox for Slow {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        steps(3).await;
        let answers = self.0.insert(records).await;
        steps(3).await;
        answers
    }
}

async fn steps(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// A body in pieces, each of which lets itself be waited for.
struct Pieces {
    pieces: VecDeque<Bytes>,
    waited: bool,
}

impl Pieces {
    fn of(body: &'static str) -> Self {
        let pieces = body.as_bytes().chunks(40);
        Self {
            pieces: pieces.map(Bytes::from_static).collect(),
            waited: false,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Proves by the body alone, whatever it is.
fn by_body() -> impl Verify {
    let token = Token::query("token", SECRET);
    verify_fn(move |presented| match presented.body() {
        Some(_) => token.verify(presented),
        None => Verdict::NeedsBody,
    })
}

/// Hangs up at every poll, and calls again.
async fn hang_up(
    proof: impl Fn() -> Box<dyn Verify>,
    body: &'static str,
    status: u16,
    kept: Queue,
) {
    at_every_poll(async |cut| {
        let store = MemoryStore::new();
        let service = Callbacks::<MusicVideo>::new(NAME, proof())
            .store(Slow(store.clone()))
            .unproven_bodies(1)
            .build_front()
            .unwrap();
        let call = || {
            let request = Request::post(url()).body(Pieces::of(body)).unwrap();
            let reply = service.clone().oneshot(request);
            async { reply.await.unwrap().status().as_u16() }
        };
        let pending = async || store.counts(&kept).await.unwrap().pending;

        let told = cut.of(call()).await;
        if let Some(told) = told {
            assert_eq!(told, status);
            assert_eq!(pending().await, 1, "acknowledged and not kept");
        }
        // Nobody has to wait for what he left behind.
        assert_eq!(call().await, status, "{cut:?}");
        assert_eq!(pending().await, 1, "{cut:?}: kept once");
        told.is_some()
    })
    .await;
}

#[tokio::test]
async fn while_a_proven_callback_is_received() {
    let by_head = || Box::new(Token::query("token", SECRET)) as Box<dyn Verify>;
    hang_up(by_head, SUCCESS, 200, Queue::events(NAME)).await;
}

#[tokio::test]
async fn while_a_callback_is_proven_by_its_body() {
    hang_up(|| Box::new(by_body()), SUCCESS, 200, Queue::events(NAME)).await;
}

#[tokio::test]
async fn while_what_cannot_be_read_goes_into_quarantine() {
    let unreadable = r#"{"code":200,"msg":"a success without a URL","data":{"task_id":"task-1"}}"#;
    let queue = Queue::quarantine(NAME);
    hang_up(|| Box::new(by_body()), unreadable, 422, queue).await;
}

#[tokio::test]
async fn while_the_app_behind_the_layer_is_at_work_and_its_place_is_free_again() {
    let rig = rig().await;
    at_every_poll(async |cut| {
        let app = service_fn(async |_: Request<Full<Bytes>>| {
            steps(3).await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let app = ConcurrencyLimitLayer::new(1).layer(app);
        let service = rig.service.layer(PATH).unwrap().layer(app);
        let call = || {
            let request = Request::post("/other").body(Full::from("x")).unwrap();
            let reply = service.clone().oneshot(request);
            async { reply.await.unwrap().status() }
        };
        let told = cut.of(call()).await;
        let again = tokio::time::timeout(Duration::from_secs(60), call()).await;
        assert_eq!(again, Ok(StatusCode::OK), "{cut:?}: the place is taken");
        told.is_some()
    })
    .await;
}
