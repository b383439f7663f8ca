//! A provider calls with a `traceparent`, and the handler's span is linked to it, through the store.
//!
//! ```text
//! cargo run -- --once
//! ```

mod links;

use std::time::Duration;

use axum::{Router, body::Body, middleware::from_fn};
use http::Request;
use opentelemetry::trace::{SpanId, TraceId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tokio::{sync::mpsc, time::timeout};
use tower::ServiceExt;
use tower_callback::{BoxError, Callbacks, Delivery, MemoryStore, MusicVideo, Token};
use tracing_subscriber::layer::SubscriberExt;

const SECRET: &str = "read-this-from-your-configuration";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Where yours sends them to a collector.
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("example"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber)?;

    let (handled, mut seen) = mpsc::channel(1);
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .store(MemoryStore::new())
            .handle(move |delivery: Delivery<MusicVideo>| {
                let handled = handled.clone();
                async move {
                    links::link(&delivery);
                    handled.send(()).await?;
                    Ok(())
                }
            })
            .build()?;
    let app = Router::new()
        .route_service("/music-video-callback", callback)
        .layer(from_fn(links::trace));

    let worker = worker.run_until(async {
        let _ = timeout(Duration::from_secs(10), seen.recv()).await;
    });
    let body = MusicVideo::succeeded("task-1", "https://example.com/1.mp4").encode();
    let request = Request::post(format!("/music-video-callback?token={SECRET}"))
        .header("traceparent", PARENT)
        .body(Body::from(body))?;
    let (response, ()) = tokio::join!(app.oneshot(request), worker);
    println!("callback: {}", response?.status());

    let spans = exporter.get_finished_spans()?;
    for span in &spans {
        let (trace, id) = (span.span_context.trace_id(), span.span_context.span_id());
        println!("{trace} {id} {:?} {:?}", span.span_kind, span.name);
        for link in &span.links.links {
            let to = &link.span_context;
            println!("  linked to {} {}", to.trace_id(), to.span_id());
        }
    }
    check(&spans)
}

/// The provider's span is the server's parent, and the handler's is linked to the server's.
fn check(spans: &[SpanData]) -> Result<(), BoxError> {
    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.ok_or_else(|| format!("there is no span {name:?}"))
    };
    let (server, handle) = (of("server")?, of("handle music-video")?);
    let parent = (server.span_context.trace_id(), server.parent_span_id);
    let expected = (
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c")?,
        SpanId::from_hex("b7ad6b7169203331")?,
    );
    if parent != expected || of("POST")?.parent_span_id != server.span_context.span_id() {
        return Err("the request is not in the provider's trace".into());
    }
    match handle.links.links.as_slice() {
        [link]
            if link.span_context.trace_id() == server.span_context.trace_id()
                && link.span_context.span_id() == server.span_context.span_id() =>
        {
            Ok(())
        }
        links => Err(format!("{links:?} is not the link to the request").into()),
    }
}
