//! Any request, against the whole front.
//!
//! What must become of a request is worked out from the input alone, by [`oracle`], and held against
//! the reply, the store, the app behind the layer, and the body that was or was not read.

mod case;
mod note;
mod oracle;
mod proof;
mod wire;
mod world;

use std::{
    collections::HashSet,
    panic,
    pin::Pin,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};
use tower_callback::{
    CallbackLayer, CallbackService, Callbacks, Clock, Disposition, Event, MemoryStore, MusicVideo,
    clock::ManualClock,
    store::QueueKind,
    testing::{Fault, Recording},
    verify::PeerAddr,
};

use self::{
    case::{Case, Crowd, EventType, Mount, Step},
    note::Note,
    oracle::{Outcome, Place},
    wire::Wire,
    world::{APP_BODY, APP_STATUS, App, Kept, Script},
};

thread_local! {
    // One for the whole process, as starting one costs more than a run.
    static RUNTIME: Runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing of the machine");
}

/// Holds the laws of the front against one input. See `case` for its form.
///
/// # Panics
///
/// When a law is broken.
pub fn request(input: &[u8]) {
    let Some(case) = Case::parse(input) else {
        return;
    };
    let_through_the_panics_we_ask_for();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            match case.event {
                EventType::MusicVideo => run::<MusicVideo>(&case).await,
                EventType::Note => run::<Note>(&case).await,
            }
        });
    });
}

/// A fuzzer ends the process at every panic, also at those that the front catches.
fn let_through_the_panics_we_ask_for() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.ends_with("told to panic") {
                others(info);
            }
        }));
    });
}

/// Sends the request, and sends it again, over the same connection if that is still there, when the
/// store is well and nobody else is there.
async fn run<E: Event>(case: &Case) {
    let hands = Clock::manual();
    let store = Recording::new(Kept {
        store: MemoryStore::with_clock(&hands),
        durable: case.durable,
    });
    let mut front = Front::new(case, endpoint::<E>(case, &hands, &store));

    if let Some(fault) = case.fault {
        store.fail_next(1, fault);
    }
    let first = oracle::outcome::<E>(case);
    let kept = front
        .send(case, &first, case.fault, case.crowd, &hands)
        .await;
    assert_recorded(&store, case, kept);

    store.heal();
    let again = front.send(case, &first, None, Crowd::Nobody, &hands).await;
    assert_recorded(&store, case, again);
    if kept.is_some() {
        assert_eq!(kept, again, "what was kept once is kept where it was");
    }
}

fn endpoint<E: Event>(
    case: &Case,
    hands: &ManualClock,
    store: &Recording<Kept>,
) -> CallbackService {
    let builder = match case.proof.build() {
        Some(proof) => Callbacks::<E>::new("fuzz", proof),
        None => Callbacks::<E>::dangerous().unverified("fuzz"),
    };
    let mut builder = builder.clock(hands.clock()).store(store.clone());
    if case.conceal {
        builder = builder.conceal();
    }
    if case.strict {
        builder = builder.strict_content_type();
    }
    if case.small {
        builder = builder
            .body_limit(oracle::SMALL_BODY)
            .unproven_body_limit(oracle::SMALL_UNPROVEN_BODY);
    }
    if case.crowd != Crowd::Nobody {
        builder = builder.unproven_bodies(1);
    }
    builder.build_front().expect("every setting is right")
}

/// The front, mounted, and the app behind it, or the connection in front of it.
struct Front {
    service: CallbackService,
    layered: Option<(CallbackLayer, App)>,
    wire: Option<Wire>,
}

type Replying<'a> = Pin<Box<dyn Future<Output = Reply> + 'a>>;

impl Front {
    fn new(case: &Case, service: CallbackService) -> Self {
        let layered = (case.mount == Mount::Layer).then(|| {
            let path = oracle::layer_path(case);
            let layer = service.layer(path).expect("the path goes with the proof");
            (layer, App::new(case.busy_app))
        });
        Self {
            service,
            layered,
            wire: None,
        }
    }

    /// Sends the request, and says where it must be kept now, if it is.
    async fn send(
        &mut self,
        case: &Case,
        outcome: &Outcome,
        fault: Option<Fault>,
        crowd: Crowd,
        hands: &ManualClock,
    ) -> Option<Place> {
        let polls = Arc::new(AtomicUsize::new(0));
        let mut others = self.gather(case, crowd, hands);
        let reply = if wire::carries(case) {
            let mut wire = match self.wire.take() {
                Some(wire) if wire.is_ready() => wire,
                _ => Wire::open(case, self.service.clone()).await,
            };
            let reply = drive(wire.send(case), &mut others, case, crowd, hands).await;
            wire.assert_usable(case, reply.status).await;
            self.wire = Some(wire);
            reply
        } else {
            let mut call = self.call(case, case.body.clone(), &polls);
            if crowd == Crowd::One && oracle::needs_a_place(case) {
                assert!(poll_once(&mut call).await.is_none(), "there is no place");
                assert_eq!(polls.load(Ordering::Relaxed), 0, "nothing is read yet");
            }
            drive(call, &mut others, case, crowd, hands).await
        };
        drop(others);
        if let Some((_, app)) = &self.layered {
            assert_foreign(case, app, outcome, &reply, &polls);
        }
        if *outcome == Outcome::Foreign {
            return None;
        }
        let expected = oracle::expected(case, outcome, fault, crowd);
        reply.assert_is(case, &expected);
        if !expected.reads_body {
            assert_eq!(
                polls.load(Ordering::Relaxed),
                0,
                "no byte of the body is read"
            );
        }
        expected.kept
    }

    /// Others with the same head, whose bodies never end. A second one comes a second later, and waits
    /// for the place of the first.
    fn gather(&self, case: &Case, crowd: Crowd, hands: &ManualClock) -> Vec<Replying<'static>> {
        let count = match crowd {
            _ if !oracle::needs_a_place(case) => 0,
            Crowd::Nobody => 0,
            Crowd::One => 1,
            Crowd::Many => 2,
        };
        let mut others = Vec::new();
        for _ in 0..count {
            let mut other = self.call(case, vec![Step::Hang], &Arc::default());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(other.as_mut().poll(&mut context).is_pending());
            others.push(other);
            if crowd == Crowd::Many {
                hands.advance(Duration::from_secs(1));
            }
        }
        others
    }

    fn call(&self, case: &Case, body: Vec<Step>, polls: &Arc<AtomicUsize>) -> Replying<'static> {
        let mut request = Request::new(Script {
            steps: body.into(),
            polls: Arc::clone(polls),
        });
        *request.method_mut() = case.method.clone();
        *request.uri_mut() = case.uri.clone();
        *request.headers_mut() = case.headers.clone();
        if let Some(peer) = case.peer {
            request.extensions_mut().insert(PeerAddr((peer, 1).into()));
        }
        match &self.layered {
            None => {
                let call = self.service.clone().call(request);
                Box::pin(async move { Reply::of(call.await.expect("infallible")).await })
            }
            Some((layer, app)) => {
                let mut service = layer.layer(app.clone());
                Box::pin(async move {
                    ready(&mut service).await;
                    let response = service.call(request).await.expect("infallible");
                    Reply::of(response).await
                })
            }
        }
    }
}

/// A foreign request reaches the app as it was sent, unread; no other request does.
fn assert_foreign(case: &Case, app: &App, outcome: &Outcome, reply: &Reply, polls: &AtomicUsize) {
    let mut seen = app.seen.lock().expect("no panic while it is held");
    if *outcome != Outcome::Foreign {
        assert!(seen.is_empty(), "our requests do not reach the app");
        return;
    }
    let (head, body) = seen.pop().expect("foreign requests reach the app");
    assert!(seen.is_empty(), "once");
    assert_eq!(head.method, case.method);
    assert_eq!(head.uri, case.uri);
    assert_eq!(head.headers, case.headers);
    assert_eq!(body.steps, case.body);
    assert_eq!(polls.load(Ordering::Relaxed), 0);
    assert_eq!(reply.status, APP_STATUS);
    assert_eq!(reply.body, APP_BODY);
    assert!(reply.headers.is_empty());
    assert_eq!(reply.disposition, None);
}

async fn ready<S: Service<Request<Script>>>(service: &mut S) {
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
    assert!(ready.is_ok(), "the layer is always ready");
}

/// Runs a request to its end, beside those of others. Whenever nothing else happens, time goes on.
async fn drive(
    mut reply: impl Future<Output = Reply> + Unpin,
    others: &mut Vec<Replying<'_>>,
    case: &Case,
    crowd: Crowd,
    hands: &ManualClock,
) -> Reply {
    // A body that only pauses is on its way, and so is what a connection has to carry.
    let steps = (case.body.len() + 4) * if wire::carries(case) { 16 } else { 1 };
    // Twice as long as the longest deadline.
    for _ in 0..40 {
        for _ in 0..steps {
            let mut waiting = Vec::new();
            for mut other in others.drain(..) {
                if poll_once(&mut other).await.is_none() {
                    waiting.push(other);
                }
            }
            *others = waiting;
            if let Some(reply) = poll_once(&mut reply).await {
                return reply;
            }
            tokio::task::yield_now().await;
        }
        if crowd == Crowd::One && !others.is_empty() {
            // He hangs up, in no time.
            others.clear();
            continue;
        }
        hands.advance(Duration::from_millis(500));
    }
    panic!("there is no reply, and every deadline is over");
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// What the store took must be the request, once, where it belongs, and nothing else.
fn assert_recorded(store: &Recording<Kept>, case: &Case, kept: Option<Place>) {
    let recorded = store.recorded();
    // An insert whose answer was lost is made again, and is the same.
    let ids: HashSet<_> = recorded.iter().map(|record| record.id).collect();
    assert_eq!(
        ids.len(),
        usize::from(kept.is_some()),
        "recorded once, or not at all"
    );
    for record in &recorded {
        assert_eq!(record.queue.endpoint(), "fuzz");
        assert_eq!(record.body, case.whole_body());
        let place = match record.queue.kind() {
            QueueKind::Events => Place::Events,
            _ => Place::Quarantine,
        };
        assert_eq!(Some(place), kept);
    }
}

/// A response, taken apart.
struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
    disposition: Option<Disposition>,
}

impl Reply {
    async fn of<B: Body>(response: Response<B>) -> Self
    where
        B::Error: std::fmt::Debug,
    {
        let (head, body) = response.into_parts();
        let announced = body.size_hint().exact();
        let body = body.collect().await.expect("infallible").to_bytes();
        assert_eq!(announced, Some(body.len() as u64));
        Self {
            status: head.status,
            headers: head.headers,
            body,
            disposition: head.extensions.get().copied(),
        }
    }

    fn assert_is(&self, case: &Case, expected: &oracle::Expected) {
        let status = expected.status;
        assert_eq!(self.status, status, "{:?} of {case:?}", self.disposition);
        let disposition = self
            .disposition
            .expect("it says what became of the request");
        // The caller is told 404 alone; who counts is told the truth.
        assert!(status == StatusCode::NOT_FOUND || disposition.status() == status);
        assert_eq!(self.body, oracle::body(status));
        let mut headers = self.headers.clone();
        assert_eq!(
            headers.remove(header::CONTENT_TYPE).unwrap(),
            "application/json"
        );
        let (name, value) = match status {
            StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::METHOD_NOT_ALLOWED => (header::ALLOW, "POST"),
            StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, "60"),
            _ => return assert!(headers.is_empty()),
        };
        assert_eq!(headers.remove(name).unwrap(), value);
        assert!(headers.is_empty());
    }
}
