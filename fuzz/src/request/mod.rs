//! Any request, against the whole front.
//!
//! What must become of a request is worked out from the input alone, by [`oracle`], and held against
//! the reply, the store, the app behind the layer, and the body that was or was not read.

mod case;
mod note;
mod oracle;
mod proof;
mod world;

use std::{
    collections::HashSet,
    panic,
    pin::pin,
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
};

use self::{
    case::{Case, EventType, Mount},
    note::Note,
    oracle::{Outcome, Place},
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

/// Sends the request, and sends it again when the store is well.
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
    let kept = front.send(case, &first, case.fault, &hands).await;
    assert_recorded(&store, case, kept);

    store.heal();
    let again = front.send(case, &first, None, &hands).await;
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
    builder.build_front().expect("every setting is right")
}

/// The front, mounted, and the app behind it.
struct Front {
    service: CallbackService,
    layered: Option<(CallbackLayer, App)>,
}

impl Front {
    fn new(case: &Case, service: CallbackService) -> Self {
        let layered = (case.mount == Mount::Layer).then(|| {
            let path = oracle::layer_path(case);
            let layer = service.layer(path).expect("the path goes with the proof");
            (layer, App::new(case.busy_app))
        });
        Self { service, layered }
    }

    /// Sends the request, and says where it must be kept now, if it is.
    async fn send(
        &mut self,
        case: &Case,
        outcome: &Outcome,
        fault: Option<Fault>,
        hands: &ManualClock,
    ) -> Option<Place> {
        let polls = Arc::new(AtomicUsize::new(0));
        let request = || {
            let mut request = Request::new(Script {
                steps: case.body.clone().into(),
                polls: Arc::clone(&polls),
            });
            *request.method_mut() = case.method.clone();
            *request.uri_mut() = case.uri.clone();
            *request.headers_mut() = case.headers.clone();
            request
        };
        let reply = match &self.layered {
            None => {
                let call = self.service.call(request());
                let response = drive(call, case, hands).await.expect("infallible");
                Reply::of(response).await
            }
            Some((layer, app)) => {
                let mut service = layer.layer(app.clone());
                ready(&mut service).await;
                let call = service.call(request());
                let response = drive(call, case, hands).await.expect("infallible");
                let reply = Reply::of(response).await;
                assert_foreign(case, app, outcome, &reply, &polls);
                reply
            }
        };
        if *outcome == Outcome::Foreign {
            return None;
        }
        let expected = oracle::expected(case, outcome, fault);
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

/// Runs a future to its end. Whenever nothing else happens, time goes on.
async fn drive<F: Future>(future: F, case: &Case, hands: &ManualClock) -> F::Output {
    let mut future = pin!(future);
    // Twice as long as the longest deadline.
    for _ in 0..40 {
        // A body that only pauses is on its way.
        for _ in 0..case.body.len() + 4 {
            let poll = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
            if let Poll::Ready(output) = poll {
                return output;
            }
            tokio::task::yield_now().await;
        }
        hands.advance(Duration::from_millis(500));
    }
    panic!("there is no reply, and every deadline is over");
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
