//! Bodies that are read before proof share one bounded budget, whatever their callers claim.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use tokio::{sync::watch, task::JoinSet};
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, Clock, MemoryStore, MusicVideo, Token, Verify, verify::Signature,
};

use crate::{NAME, support::SECRET};

const PLACES: usize = 8;
const LIMIT: usize = 64 * 1024;
const CHUNK: usize = 8 * 1024;

/// What the bodies of callers have given away, and what of it is still held.
#[derive(Default)]
struct Gauge {
    /// Bodies that somebody reads.
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// The bytes that they have given.
    held: AtomicUsize,
    most_held: AtomicUsize,
}

impl Gauge {
    fn add(now: &AtomicUsize, most: &AtomicUsize, more: usize) {
        most.fetch_max(now.fetch_add(more, SeqCst) + more, SeqCst);
    }
}

/// A body that gives `length` bytes as fast as they are taken, and ends when the gate opens.
struct Flood {
    gauge: Arc<Gauge>,
    gate: Pin<Box<dyn Future<Output = ()> + Send>>,
    length: usize,
    given: usize,
    is_open: bool,
}

impl Flood {
    fn new(gauge: &Arc<Gauge>, gate: &watch::Receiver<bool>, length: usize) -> Self {
        let mut gate = gate.clone();
        Self {
            gauge: Arc::clone(gauge),
            gate: Box::pin(async move {
                gate.wait_for(|is_open| *is_open).await.unwrap();
            }),
            length,
            given: 0,
            is_open: false,
        }
    }
}

impl Body for Flood {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let gauge = &this.gauge;
        if !this.is_open {
            this.is_open = true;
            Gauge::add(&gauge.open, &gauge.most_open, 1);
        }
        if this.given < this.length {
            this.given += CHUNK;
            Gauge::add(&gauge.held, &gauge.most_held, CHUNK);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; CHUNK])))));
        }
        this.gate.as_mut().poll(cx).map(|()| None)
    }
}

/// The front drops a body when it has read it, and in the same breath decides.
impl Drop for Flood {
    fn drop(&mut self) {
        if self.is_open {
            self.gauge.open.fetch_sub(1, SeqCst);
            self.gauge.held.fetch_sub(self.given, SeqCst);
        }
    }
}

/// Time stands still, so that nobody is turned away because he waits for a place.
fn service(proof: impl Verify) -> CallbackService {
    let hands = Clock::manual();
    Callbacks::<MusicVideo>::new(NAME, proof)
        .store(MemoryStore::with_clock(&hands))
        .clock(hands.clock())
        .unproven_bodies(PLACES)
        .unproven_body_limit(LIMIT)
        .build_front()
        .unwrap()
}

/// A token or one of two signatures: the door that a garbage header might open.
fn proof() -> impl Verify {
    Token::bearer(SECRET)
        .or(Signature::github(SECRET))
        .or(Signature::stripe(SECRET))
}

fn request(headers: &[(&str, &str)], body: Flood) -> Request<Flood> {
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

#[tokio::test]
async fn a_garbage_signature_gets_no_body_read() {
    let service = service(proof());
    let (gauge, (_gate, gate)) = (Arc::new(Gauge::default()), watch::channel(false));
    let zeros = "0".repeat(64);
    for headers in [
        vec![("x-hub-signature-256", "garbage")],
        vec![("stripe-signature", "garbage")],
        vec![
            ("x-hub-signature-256", "sha256="),
            ("stripe-signature", "t=1,v1="),
        ],
        vec![
            ("authorization", "Bearer wrong"),
            ("x-hub-signature-256", &*zeros),
        ],
    ] {
        for _ in 0..500 {
            let flood = Flood::new(&gauge, &gate, usize::MAX);
            let answer = service.clone().oneshot(request(&headers, flood)).await;
            assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(gauge.most_open.load(SeqCst), 0);
}

#[tokio::test]
async fn well_formed_wrong_signatures_share_the_places_and_no_more() {
    let service = service(proof());
    let (gauge, (open, gate)) = (Arc::new(Gauge::default()), watch::channel(false));
    let mut callers = JoinSet::new();
    for caller in 0..500 {
        let flood = Flood::new(&gauge, &gate, LIMIT);
        let signature = format!("sha256={caller:064x}");
        let headers = [
            ("authorization", "Bearer wrong"),
            ("x-hub-signature-256", &signature),
        ];
        callers.spawn(service.clone().oneshot(request(&headers, flood)));
    }
    // On one thread, everybody has gone as far as he can after a few turns.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gauge.open.load(SeqCst), PLACES, "the others wait");
    assert_eq!(gauge.held.load(SeqCst), PLACES * LIMIT);

    open.send(true).unwrap();
    while let Some(answer) = callers.join_next().await {
        let status = answer.unwrap().unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(gauge.most_open.load(SeqCst), PLACES);
    assert!(gauge.most_held.load(SeqCst) <= PLACES * LIMIT);
    assert_eq!(gauge.held.load(SeqCst), 0);
}

#[tokio::test]
async fn a_body_without_end_is_dropped_at_the_limit() {
    let service = service(proof());
    let (gauge, (_gate, gate)) = (Arc::new(Gauge::default()), watch::channel(false));
    let mut callers = JoinSet::new();
    for caller in 0..500 {
        let flood = Flood::new(&gauge, &gate, usize::MAX);
        let signature = format!("sha256={caller:064x}");
        let headers = [("x-hub-signature-256", &*signature)];
        callers.spawn(service.clone().oneshot(request(&headers, flood)));
    }
    while let Some(answer) = callers.join_next().await {
        let status = answer.unwrap().unwrap().status();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert!(gauge.most_held.load(SeqCst) <= PLACES * (LIMIT + CHUNK));
}
