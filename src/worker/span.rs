//! The span of a delivery, named as OpenTelemetry names what a consumer of messages does.

use tracing::{
    Span,
    field::{Empty, display},
};

use super::{Delivery, held::lossy, jobs::About};
use crate::store::{Queue, QueueKind};

/// The word for an attempt that did not fail.
pub(super) const HANDLED: &str = "handled";

/// The handler's own spans and events stand in it.
pub(super) fn of_delivery(queue: &Queue, about: &About) -> Span {
    let operation = match queue.kind() {
        QueueKind::Tracked => "poll",
        _ => "handle",
    };
    tracing::info_span!(
        "handle",
        otel.name = format!("{operation} {}", queue.endpoint()),
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "tower_callback",
        messaging.operation.name = operation,
        messaging.operation.type = "process",
        messaging.destination.name = queue.endpoint(),
        messaging.message.id = lossy(&about.key),
        messaging.message.conversation_id = Empty,
        tower_callback.attempt = about.attempt,
        tower_callback.source = Empty,
        tower_callback.traceparent = Empty,
        tower_callback.submission.traceparent = Empty,
    )
}

/// Notes with the span, which is the current one, what is known once the event was read.
pub(super) fn opened<E>(delivery: &Delivery<E>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.record("tower_callback.source", delivery.source().as_str());
    if let Some(correlation) = delivery.correlation() {
        span.record("messaging.message.conversation_id", correlation);
    }
    if let Some(context) = delivery.trace_context() {
        span.record("tower_callback.traceparent", display(context));
    }
    if let Some(context) = delivery.submission_trace_context() {
        span.record("tower_callback.submission.traceparent", display(context));
    }
}

/// Notes with the span, which is the current one, how the attempt ended: a word, since the text is in the
/// event that tells of it.
pub(super) fn ended(word: &'static str) {
    if word != HANDLED {
        let span = Span::current();
        span.record("otel.status_code", "ERROR");
        span.record("error.type", word);
    }
}
