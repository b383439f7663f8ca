//! Three functions between this crate's trace contexts and OpenTelemetry's: all that it takes.

use axum::{extract::Request, middleware::Next, response::Response};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId},
};
use tower_callback::{Delivery, TraceContext};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A context of ours, as OpenTelemetry has it.
pub fn remote(context: &TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.span_id()),
        TraceFlags::new(context.flags()),
        true,
        context.tracestate().parse().unwrap_or_default(),
    )
}

/// A span's place in its trace, as it goes with a request, or with a submission.
pub fn local(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    let (trace, id) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    let context = TraceContext::new(trace, id, context.trace_flags().to_u8()).ok()?;
    Some(context)
}

/// The middleware around an app: a span for each request, which goes on in the caller's trace, and which the
/// endpoint keeps with what it stores.
pub async fn trace(mut request: Request, next: Next) -> Response {
    let span = tracing::info_span!("server", otel.kind = "server");
    // A parent only for those whom you trust; everybody else can have a link.
    if let Some(caller) = TraceContext::from_headers(request.headers()) {
        let parent = Context::new().with_remote_span_context(remote(&caller));
        let _ = span.set_parent(parent);
    }
    if let Some(own) = local(&span) {
        request.extensions_mut().insert(own);
    }
    next.run(request).instrument(span).await
}

/// The first line of a handler: its span is linked to the request that brought the event, and to the submission
/// that asked for it.
pub fn link<E>(delivery: &Delivery<E>) {
    let of = [
        delivery.trace_context(),
        delivery.submission_trace_context(),
    ];
    for context in of.into_iter().flatten() {
        Span::current().add_link(remote(context));
    }
}
