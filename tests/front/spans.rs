//! The spans of requests and deliveries, and the trace that goes with an event through the store.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_callback::{
    CallbackService, Callbacks, MemoryStore, MusicVideo, Token, TraceContext, Worker,
    store::{
        Inspect, Queue,
        inspect::{self, Listing},
    },
};
use tracing::{Instrument, Level};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    NAME,
    capture::Capture,
    support::{PATH, SECRET, SUCCESS, url},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OWN: &str = "00-11111111111111111111111111111111-2222222222222222-00";

/// Captures the ends of spans.
fn spans(level: Level) -> Capture {
    Capture::start_with(level, FmtSpan::CLOSE)
}

/// The spans of a name that have ended, a line for each.
fn ended(spans: &Capture, name: &str) -> Vec<String> {
    let mut lines = spans.lines(": close ");
    lines.retain(|line| line.contains(&format!("{name}{{")));
    lines
}

#[track_caller]
fn assert_one(spans: &[String], fields: &[&str]) {
    assert_eq!(spans.len(), 1, "{spans:?}");
    for field in fields {
        assert!(spans[0].contains(field), "{field}: {}", spans[0]);
    }
}

/// What a handler was given.
type Given = (Option<TraceContext>, Option<String>);

fn endpoint(
    store: &MemoryStore,
    fails: bool,
) -> (CallbackService, Worker, mpsc::UnboundedReceiver<Given>) {
    let (handled, given) = mpsc::unbounded_channel();
    let (service, worker) = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .handle(move |delivery| {
            let context = delivery.trace_context().cloned();
            let state = context
                .as_ref()
                .map(|context| context.tracestate().to_owned());
            handled.send((context, state)).unwrap();
            async move {
                match fails {
                    true => Err("no luck".into()),
                    false => Ok(()),
                }
            }
        })
        .build()
        .unwrap();
    (service, worker, given)
}

fn request(target: &str, body: &'static str) -> Request<Full<bytes::Bytes>> {
    Request::post(target).body(Full::from(body)).unwrap()
}

async fn send(service: &CallbackService, request: Request<Full<bytes::Bytes>>) -> u16 {
    let response = service.clone().oneshot(request).await.unwrap();
    response.status().as_u16()
}

/// Runs a worker until its handler was called, and what came of it is settled.
async fn handle(worker: Worker, given: &mut mpsc::UnboundedReceiver<Given>) -> Given {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = worker.run_until(async { drop(stopped.await) });
    let one = async {
        let one = tokio::time::timeout(Duration::from_secs(30), given.recv()).await;
        stop.send(()).unwrap();
        one.unwrap().unwrap()
    };
    tokio::join!(running, one).1
}

#[tokio::test]
async fn a_request_is_a_span_with_opentelemetrys_names_and_without_its_url() {
    let spans = spans(Level::INFO);
    let (service, _worker, _) = endpoint(&MemoryStore::new(), false);
    let mut traced = request(&url(), SUCCESS);
    traced
        .headers_mut()
        .insert("traceparent", PARENT.parse().unwrap());
    assert_eq!(send(&service, traced).await, 200);
    let ended = ended(&spans, "request");
    assert_one(
        &ended,
        &[
            "otel.name=\"POST\"",
            "otel.kind=\"server\"",
            "http.request.method=\"POST\"",
            "http.response.status_code=200",
            "tower_callback.endpoint=\"music-video\"",
            "tower_callback.outcome=\"stored\"",
            &format!("tower_callback.traceparent={PARENT}"),
        ],
    );
    for absent in [SECRET, PATH, "error.type", "otel.status_code"] {
        assert!(!ended[0].contains(absent), "{absent}: {}", ended[0]);
    }
}

#[tokio::test]
async fn at_a_layer_the_span_is_named_by_the_route_and_never_by_the_path() {
    let spans = spans(Level::INFO);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::segment(SECRET))
        .store(MemoryStore::new())
        .build_front()
        .unwrap();
    let app = service_fn(async |_: Request<Full<bytes::Bytes>>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
    });
    let app = service.layer("/hook/{token}").unwrap().layer(app);
    let target = format!("/hook/{SECRET}");
    app.clone()
        .oneshot(request(&target, SUCCESS))
        .await
        .unwrap();
    app.oneshot(request("/other", SUCCESS)).await.unwrap();
    let ended = ended(&spans, "request");
    let named = [
        "otel.name=\"POST /hook/{token}\"",
        "http.route=/hook/{token}",
    ];
    assert_one(&ended, &named);
    assert!(!ended[0].contains(SECRET), "{}", ended[0]);
}

#[tokio::test]
async fn within_somebody_elses_span_a_request_is_an_internal_one() {
    let spans = spans(Level::INFO);
    let (service, _worker, _) = endpoint(&MemoryStore::new(), false);
    let outer = tracing::info_span!("outer");
    let sent = send(&service, request(&url(), SUCCESS)).instrument(outer);
    assert_eq!(sent.await, 200);
    assert_one(&ended(&spans, "request"), &["otel.kind=\"internal\""]);
}

#[tokio::test]
async fn a_stranger_is_a_span_for_those_who_debug_and_nobody_else() {
    for (level, count) in [(Level::INFO, 0), (Level::DEBUG, 2)] {
        let spans = spans(level);
        let (service, _worker, _) = endpoint(&MemoryStore::new(), false);
        let mut stranger = request("/callback?token=wrong", SUCCESS);
        stranger
            .headers_mut()
            .insert("traceparent", PARENT.parse().unwrap());
        assert_eq!(send(&service, stranger).await, 401);
        let mut odd = request(&url(), SUCCESS);
        *odd.method_mut() = "SECRETIVE".parse().unwrap();
        assert_eq!(send(&service, odd).await, 405);
        let ended = ended(&spans, "request");
        assert_eq!(ended.len(), count, "{ended:?}");
        for span in &ended {
            assert!(
                !span.contains("traceparent") && !span.contains("SECRETIVE"),
                "{span}"
            );
        }
        if let [refused, odd] = &ended[..] {
            assert!(refused.contains("outcome=\"refused\""), "{refused}");
            assert!(
                odd.contains("otel.name=\"HTTP\"") && odd.contains("\"_OTHER\""),
                "{odd}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_could_not_be_taken_is_a_span_in_error() {
    let spans = spans(Level::INFO);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .accept(async |_| Err("not today")?)
        .unwrap();
    assert_eq!(send(&service, request(&url(), SUCCESS)).await, 503);
    let fields = [
        "otel.status_code=\"ERROR\"",
        "error.type=\"not_accepted\"",
        "http.response.status_code=503",
    ];
    assert_one(&ended(&spans, "request"), &fields);
}

#[tokio::test]
async fn a_delivery_is_a_span_with_the_names_of_a_consumer_and_the_trace_of_its_request() {
    let spans = spans(Level::INFO);
    for fails in [false, true] {
        let (service, worker, mut given) = endpoint(&MemoryStore::new(), fails);
        let mut traced = request(&url(), SUCCESS);
        traced
            .headers_mut()
            .insert("traceparent", PARENT.parse().unwrap());
        send(&service, traced).await;
        handle(worker, &mut given).await;
    }
    let ended = ended(&spans, "handle");
    let (good, bad) = ended.split_at(1);
    let fields = [
        "otel.name=\"handle music-video\"",
        "otel.kind=\"consumer\"",
        "messaging.system=\"tower_callback\"",
        "messaging.operation.name=\"handle\"",
        "messaging.operation.type=\"process\"",
        "messaging.destination.name=\"music-video\"",
        "messaging.message.id=\"task-1\"",
        "tower_callback.attempt=1",
        "tower_callback.source=\"callback\"",
        &format!("tower_callback.traceparent={PARENT}"),
    ];
    assert_one(good, &fields);
    assert!(!good[0].contains("error.type"), "{}", good[0]);
    assert_one(
        bad,
        &["otel.status_code=\"ERROR\"", "error.type=\"failed\""],
    );
}

#[tokio::test]
async fn the_trace_of_a_proven_request_reaches_the_handler_through_the_store() {
    let (service, worker, mut given) = endpoint(&MemoryStore::new(), false);
    let mut traced = request(&url(), SUCCESS);
    let headers = traced.headers_mut();
    headers.insert("traceparent", PARENT.parse().unwrap());
    headers.append("tracestate", "rojo=00f067aa0ba902b7".parse().unwrap());
    headers.append("tracestate", "congo=t61".parse().unwrap());
    send(&service, traced).await;
    let (context, state) = handle(worker, &mut given).await;
    assert_eq!(context.unwrap().traceparent(), PARENT);
    assert_eq!(state.unwrap(), "rojo=00f067aa0ba902b7,congo=t61");
}

#[tokio::test]
async fn a_middlewares_own_span_goes_before_the_headers() {
    let (service, worker, mut given) = endpoint(&MemoryStore::new(), false);
    let mut traced = request(&url(), SUCCESS);
    traced
        .headers_mut()
        .insert("traceparent", PARENT.parse().unwrap());
    let own: TraceContext = OWN.parse().unwrap();
    traced.extensions_mut().insert(own.clone());
    send(&service, traced).await;
    assert_eq!(handle(worker, &mut given).await.0, Some(own));
}

#[tokio::test]
async fn what_is_no_trace_is_not_kept_and_costs_nobody_the_event() {
    let long = format!("a={}", "x".repeat(600));
    for (parent, state) in [("hello", "a=1"), (PARENT, long.as_str())] {
        let store = MemoryStore::new();
        let (service, worker, mut given) = endpoint(&store, false);
        let mut odd = request(&url(), SUCCESS);
        odd.headers_mut()
            .insert("traceparent", parent.parse().unwrap());
        odd.headers_mut()
            .insert("tracestate", state.parse().unwrap());
        assert_eq!(send(&service, odd).await, 200);
        let (context, state) = handle(worker, &mut given).await;
        assert_eq!(context.is_some(), parent == PARENT);
        assert_eq!(state.unwrap_or_default(), "");
    }
}

#[tokio::test]
async fn a_callback_out_of_quarantine_has_its_trace_still() {
    let store = MemoryStore::new();
    let proof = Token::query("token", SECRET);
    let picky = Callbacks::<Picky>::new(NAME, proof)
        .store(store.clone())
        .build_front()
        .unwrap();
    let mut unread = request(&url(), SUCCESS);
    unread
        .headers_mut()
        .insert("traceparent", PARENT.parse().unwrap());
    assert_eq!(send(&picky, unread).await, 422);
    let quarantine = Queue::quarantine(NAME);
    let page = store.list(&quarantine, &Listing::all()).await.unwrap();
    inspect::release::<MusicVideo>(&store, &quarantine, page.records[0].id)
        .await
        .unwrap();
    let (_, worker, mut given) = endpoint(&store, false);
    let (context, _) = handle(worker, &mut given).await;
    assert_eq!(context.unwrap().traceparent(), PARENT);
}

/// An event that nothing is.
struct Picky;

impl tower_callback::Event for Picky {
    fn parse(_: &tower_callback::Callback<'_>) -> Result<Self, tower_callback::event::ParseError> {
        Err(tower_callback::event::ParseError::unprocessable("never"))
    }

    fn key(&self) -> Result<tower_callback::EventKey, tower_callback::event::InvalidKey> {
        tower_callback::EventKey::new("picky")
    }
}
