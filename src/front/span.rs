//! The span of a request, named as OpenTelemetry names what a server does. Without `url.path` and
//! `url.query`, which may hold the secret, and without any header.

use http::{Method, StatusCode};
use tracing::{Level, Span, field::Empty, level_filters::LevelFilter};

use super::{Disposition, Endpoint, path::PathPattern};
use crate::event::TraceContext;

/// The span at a level, which has to be known when it is compiled. There is none where nobody listens: with
/// its feature `log`, tracing would write it down all the same.
macro_rules! request_span {
    ($level:expr, $endpoint:expr, $method:expr, $route:expr) => {
        if $level > LevelFilter::current() {
            Span::none()
        } else {
            let (method, route) = (known($method), $route);
            tracing::span!(
                $level,
                "request",
                otel.name = name(method, route),
                // A span around it, such as that of tower-http's layer, is the server's then.
                otel.kind = if Span::current().is_none() { "server" } else { "internal" },
                otel.status_code = Empty,
                http.request.method = method,
                http.route = route.map(tracing::field::display),
                http.response.status_code = Empty,
                error.type = Empty,
                tower_callback.endpoint = $endpoint,
                tower_callback.outcome = Empty,
                tower_callback.traceparent = Empty,
            )
        }
    };
}

impl Endpoint {
    /// Of a request that the proof by head let in.
    pub(super) fn span(&self, method: &Method, route: Option<&PathPattern>) -> Span {
        request_span!(Level::INFO, self.name(), method, route)
    }

    /// Of a request that was answered by its head. For those who debug: a flood of strangers must not
    /// push the other spans out of a collector.
    pub(super) fn span_of_stranger(&self, method: &Method, route: Option<&PathPattern>) -> Span {
        request_span!(Level::DEBUG, self.name(), method, route)
    }
}

/// Notes with the span how it ended.
pub(super) fn ended(span: &Span, disposition: Disposition, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.record("tower_callback.outcome", disposition.as_str());
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", disposition.as_str());
    }
}

/// Notes with the span where its request stands in somebody's trace, once he has proved himself.
pub(super) fn proven(span: &Span, context: impl FnOnce() -> Option<TraceContext>) {
    if span.is_disabled() {
        return;
    }
    if let Some(context) = context() {
        span.record(
            "tower_callback.traceparent",
            tracing::field::display(context),
        );
    }
}

/// A method that everybody knows, so that nobody makes names of spans up.
fn known(method: &Method) -> &str {
    let all = [
        Method::POST,
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    match all.contains(method) {
        true => method.as_str(),
        false => "_OTHER",
    }
}

fn name(method: &str, route: Option<&PathPattern>) -> String {
    let method = if method == "_OTHER" { "HTTP" } else { method };
    match route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}
