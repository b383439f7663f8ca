//! A leased event, as the handler gets it.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    event::{Meta, Rank, Source, TraceContext},
    store::{Lease, LeaseToken, Leased, Queue, RecordId},
};

/// A leased event on its way to the handler.
///
/// In the unit tests of a handler it is made by [`Delivery::new`].
#[non_exhaustive]
pub struct Delivery<E> {
    /// The event.
    pub event: E,
    about: About,
}

struct About {
    lease: Lease,
    /// Its sender is dropped when the lease ends.
    held: watch::Receiver<()>,
    /// Where there is no worker, nobody else keeps the lease from being lost.
    _kept: Option<Arc<watch::Sender<()>>>,
    key: String,
    rank: Rank,
    body: Bytes,
    attempt: u32,
    arrived: SystemTime,
    source: Source,
    correlation: Option<String>,
    labels: Vec<String>,
    trace: Option<TraceContext>,
    submission: Option<TraceContext>,
}

impl<E> Delivery<E> {
    /// A delivery that no worker made, for the tests of a handler: the first attempt, just arrived,
    /// with an empty key and body, and a lease that is never lost.
    pub fn new(event: E) -> Self {
        let (kept, held) = watch::channel(());
        let queue = Queue::events("test");
        Self {
            event,
            about: About {
                lease: Lease::new(queue, RecordId::random(), LeaseToken::random()),
                held,
                _kept: Some(Arc::new(kept)),
                key: String::new(),
                rank: 0,
                body: Bytes::new(),
                attempt: 1,
                arrived: SystemTime::now(),
                source: Source::Callback,
                correlation: None,
                labels: Vec::new(),
                trace: None,
                submission: None,
            },
        }
    }

    /// The same delivery at another attempt.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.about.attempt = attempt;
        self
    }

    /// The same delivery with another key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.about.key = key.into();
        self
    }

    /// The same delivery with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.about.body = body.into();
        self
    }

    /// The same delivery, with where the request that brought it stands in its trace.
    #[must_use]
    pub fn with_trace_context(mut self, context: TraceContext) -> Self {
        self.about.trace = Some(context);
        self
    }

    pub(super) fn of(
        event: E,
        leased: Leased,
        meta: Meta,
        held: watch::Receiver<()>,
        submission: Option<TraceContext>,
    ) -> Self {
        Self {
            event,
            about: About {
                lease: leased.lease,
                held,
                _kept: None,
                key: String::from_utf8_lossy(&leased.key).into_owned(),
                rank: leased.rank,
                body: leased.body,
                attempt: leased.attempt,
                arrived: meta.arrived(),
                source: meta.source,
                trace: meta.trace_context(),
                submission: submission.or_else(|| meta.submission_trace_context()),
                correlation: meta.correlation,
                labels: meta.labels,
            },
        }
    }

    /// Which attempt this is, from 1. An attempt counts when it begins, also if the process ends in it.
    pub fn attempt(&self) -> u32 {
        self.about.attempt
    }

    /// The event's key: an idempotency key for whatever the handler calls.
    pub fn key(&self) -> &str {
        &self.about.key
    }

    /// The event's rank.
    pub fn rank(&self) -> Rank {
        self.about.rank
    }

    /// When the callback arrived, on the clock of the endpoint that received it.
    pub fn arrived(&self) -> SystemTime {
        self.about.arrived
    }

    /// How the event came in.
    pub fn source(&self) -> Source {
        self.about.source
    }

    /// The correlation id that the proof carried, if it did.
    ///
    /// With a [`SignedUrl`](crate::SignedUrl) it says by which URL the event came, not that it is about the
    /// submission that the URL was made for: whoever has captured the URL can send any event there. Compare the
    /// task with the one that was submitted, or have callbacks confirmed
    /// (`Callbacks::confirm_with`): where the submission is known to be of another task, there is none.
    pub fn correlation(&self) -> Option<&str> {
        self.about.correlation.as_deref()
    }

    /// The labels of the secrets that matched, to see which are still in use.
    pub fn secret_labels(&self) -> &[String] {
        &self.about.labels
    }

    /// Where the request that brought the event stands in its trace, if it said so by a `traceparent`.
    ///
    /// The handler runs in a span of its own, `handle`, because it may run hours later, and again. The span
    /// has the context in a field; to make a link of it, or to pass it on, is for who exports the spans. The
    /// package `examples/opentelemetry` does both with `tracing-opentelemetry`.
    ///
    /// ```
    /// # use tower_callback::{Delivery, HandlerError, MusicVideo};
    /// async fn handle(delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    ///     let mut next = http::Request::get("https://example.com/");
    ///     if let Some(context) = delivery.trace_context() {
    ///         next = next.header("traceparent", context.traceparent());
    ///     }
    ///     # let _ = next;
    ///     Ok(())
    /// }
    /// ```
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.about.trace.as_ref()
    }

    /// Where the submission that asked for the event stands in its trace, if that is known: what was given to
    /// `Submitter::with_trace_context` (feature `client`). It is kept with the submission, and reaches the
    /// handler whether a callback brings the event or a poll.
    pub fn submission_trace_context(&self) -> Option<&TraceContext> {
        self.about.submission.as_ref()
    }

    /// The body of the callback, byte for byte.
    pub fn body(&self) -> &Bytes {
        &self.about.body
    }

    /// The lease, which a transaction of the handler's own can complete where the store offers that.
    pub fn lease(&self) -> &Lease {
        &self.about.lease
    }

    /// Resolves when the lease is no longer held: another worker may have the event by now, and what
    /// this handler returns changes nothing.
    ///
    /// It also resolves when the delivery was settled, so that a task which watches it ends.
    ///
    /// ```
    /// # use tower_callback::worker::{Delivery, HandlerError};
    /// # async fn render() {}
    /// async fn handle(delivery: Delivery<u64>) -> Result<(), HandlerError> {
    ///     tokio::select! {
    ///         () = delivery.lease_lost() => Err("somebody else has it".into()),
    ///         () = render() => Ok(()),
    ///     }
    /// }
    /// ```
    pub fn lease_lost(&self) -> impl Future<Output = ()> + Send + 'static + use<E> {
        let mut held = self.about.held.clone();
        async move { while held.changed().await.is_ok() {} }
    }

    /// Whether the lease is no longer held.
    pub fn is_lease_lost(&self) -> bool {
        self.about.held.has_changed().is_err()
    }
}

/// Tells everything but the body, which may hold what no log should.
impl<E: fmt::Debug> fmt::Debug for Delivery<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = &self.about;
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("key", &about.key)
            .field("rank", &about.rank)
            .field("attempt", &about.attempt)
            .field("arrived", &about.arrived)
            .field("source", &about.source)
            .field("correlation", &about.correlation)
            .field("secret_labels", &about.labels)
            .field("body", &format_args!("{} bytes", about.body.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_prints_the_body() {
        let delivery = Delivery::new(7_u8)
            .with_key("task-1")
            .with_attempt(3)
            .with_body("very private");
        let debug = format!("{delivery:?}");
        assert!(!debug.contains("private"), "{debug}");
        assert!(debug.contains("task-1") && debug.contains("12 bytes"));
        assert_eq!(
            (delivery.attempt(), &delivery.body()[..4]),
            (3, &b"very"[..])
        );
    }

    #[tokio::test]
    async fn the_lease_of_a_made_up_delivery_is_lost_only_with_the_delivery() {
        let delivery = Delivery::new(());
        assert!(!delivery.is_lease_lost());
        let lost = delivery.lease_lost();
        drop(delivery);
        lost.await;
    }
}
