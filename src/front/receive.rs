//! One request, step by step: proof by head, bounded body, proof by body, parse, insert, reply.

use std::{
    ops::Range,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, request};
use http_body::Body;
use tracing::Span;

use super::{
    CallbackFuture, Disposition, Endpoint, ReplyBody, Sink, TEST_CALLBACK, Unreadable,
    body::{self, BodyError},
    outcome::Outcome,
    path::PathPattern,
    quarantine::reason_of,
    reply::reply,
    span,
};
use crate::{
    BoxError,
    clock::Stopwatch,
    error::chain,
    event::{
        Callback, EventKey, Meta, ParseErrorKind, TraceContext, listed_headers, stored_precision,
    },
    panic,
    store::{Inserted, NewRecord, StoreError},
    verify::{Presented, Refusal, RefusalKind, Verdict, Verified},
};

/// The range of the token in the path, if the layer's pattern has one; `None` for the leaf, which
/// takes the last segment.
type Segment = Option<Option<Range<usize>>>;

/// Receives a request. What its head decides is decided here and now.
///
/// `at` is where the layer has it from: its pattern, and where in the path the token stands.
pub(super) fn receive<B>(
    endpoint: &Arc<Endpoint>,
    request: Request<B>,
    at: Option<(&PathPattern, Option<Range<usize>>)>,
) -> CallbackFuture
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let (route, segment) = at.unzip();
    let mut receipt = Receipt {
        started: endpoint.clock.stopwatch(),
        arrived: stored_precision(endpoint.clock.now()),
        head,
        segment,
        by_head: None,
        by_body: OnceLock::new(),
        span: Span::none(),
    };
    match endpoint.admit(&mut receipt, &body) {
        Ok(()) => {
            let endpoint = Arc::clone(endpoint);
            let span = endpoint.span(&receipt.head.method, route);
            receipt.span = span.clone();
            let answer = async move {
                let outcome = endpoint.work(&receipt, body).await;
                endpoint.answer(receipt, &outcome)
            };
            CallbackFuture::running(answer, span)
        }
        Err(disposition) => {
            let span = endpoint.span_of_stranger(&receipt.head.method, route);
            receipt.span = span.clone();
            let _in = span.enter();
            CallbackFuture::ready(endpoint.answer(receipt, &disposition.into()))
        }
    }
}

/// A request without its body.
pub(super) struct Receipt {
    started: Stopwatch,
    arrived: SystemTime,
    pub(super) head: request::Parts,
    segment: Segment,
    /// What the caller has proved by now, of the two ways: what goes wrong after that is not concealed.
    by_head: Option<Verified>,
    by_body: OnceLock<Verified>,
    span: Span,
}

impl Receipt {
    fn verified(&self) -> Option<&Verified> {
        self.by_head.as_ref().or_else(|| self.by_body.get())
    }

    fn is_proven(&self) -> bool {
        self.verified().is_some()
    }

    /// Where the request stands in its trace, as a middleware of the user's says, or the caller.
    fn trace_context(&self) -> Option<TraceContext> {
        match self.head.extensions.get::<TraceContext>() {
            Some(context) => Some(context.clone()),
            None => TraceContext::from_headers(&self.head.headers),
        }
    }

    fn presented(&self) -> Presented<'_> {
        let presented = Presented::new(&self.head, self.arrived);
        match &self.segment {
            None => presented,
            Some(range) => {
                let path = self.head.uri.path();
                presented.with_segment(range.clone().and_then(|range| path.get(range)))
            }
        }
    }
}

impl Endpoint {
    /// The proof by head, which may leave it to the body. Nothing is read or stored for who fails it, and
    /// no task is started.
    fn admit<B: Body>(&self, receipt: &mut Receipt, body: &B) -> Result<(), Disposition> {
        if receipt.head.method != Method::POST {
            return Err(Disposition::MethodNotAllowed);
        }
        let verdict = panic::catch(|| self.proof.verify(&receipt.presented()))
            .map_err(|_| Disposition::Panicked { proven: false })?;
        let limit = match verdict {
            Verdict::Accept(verified) => {
                receipt.by_head = Some(verified);
                self.settings.body_limit
            }
            Verdict::NeedsBody => self.settings.unproven_body_limit(),
            Verdict::Refuse(refusal) => return Err(Disposition::Refused(refusal)),
        };
        if body::announces_more(&receipt.head.headers, body, limit) {
            let proven = receipt.is_proven();
            return Err(Disposition::TooLarge { proven });
        }
        Ok(())
    }

    /// Everything that the head does not decide, within the ack deadline.
    async fn work<B>(&self, receipt: &Receipt, body: B) -> Outcome
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        // Pinned where it is made, as other futures here: they are too large to be moved about.
        let work = pin!(self.process(receipt, body));
        let left = || self.left(receipt);
        let proven = || receipt.is_proven();
        match self.clock.timeout_of(left, panic::catch_future(work)).await {
            Some(Ok(outcome)) => outcome,
            // Without the message, which may hold the body: the panic hook has it.
            Some(Err(_)) => Disposition::Panicked { proven: proven() }.into(),
            None => Disposition::Late { proven: proven() }.into(),
        }
    }

    async fn process<B>(&self, receipt: &Receipt, body: B) -> Outcome
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let body = match receipt.is_proven() {
            true => self.read_body(body, self.settings.body_limit, true).await,
            false => Box::pin(self.prove_by_body(receipt, body)).await,
        };
        let next = match body {
            Ok(body) => self.take(receipt, body),
            Err(disposition) => return disposition.into(),
        };
        match next {
            Next::Answer(outcome) => outcome,
            Next::Wait(outcome) => outcome.await,
        }
    }

    /// The proof by body, within the budget that all such bodies share.
    async fn prove_by_body<B>(&self, receipt: &Receipt, body: B) -> Result<Bytes, Disposition>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let place = self.unproven_bodies.acquire();
        let _place = self
            .clock
            .timeout(self.settings.body_timeout(), place)
            .await
            .ok_or(Disposition::Overloaded)?;
        let body = self
            .read_body(body, self.settings.unproven_body_limit(), false)
            .await?;
        match self.proof.verify(&receipt.presented().with_body(&body)) {
            Verdict::Accept(verified) => {
                receipt.by_body.get_or_init(|| verified);
            }
            Verdict::Refuse(refusal) => return Err(Disposition::Refused(refusal)),
            Verdict::NeedsBody => {}
        }
        Ok(body)
    }

    async fn read_body<B: Body>(
        &self,
        body: B,
        limit: usize,
        proven: bool,
    ) -> Result<Bytes, Disposition> {
        let read = pin!(body::read(body, limit));
        match self.clock.timeout(self.settings.body_timeout(), read).await {
            Some(Ok(body)) => Ok(body),
            Some(Err(BodyError::TooLarge)) => Err(Disposition::TooLarge { proven }),
            Some(Err(BodyError::Interrupted)) => Err(Disposition::Interrupted { proven }),
            None => Err(Disposition::TooSlow { proven }),
        }
    }

    /// Takes what a proven caller sent.
    fn take<'a>(&'a self, receipt: &'a Receipt, body: Bytes) -> Next<'a> {
        let Some(verified) = receipt.verified() else {
            let refusal = Refusal::new(RefusalKind::Undecided, "proof");
            return Disposition::Refused(refusal).into();
        };
        span::proven(&receipt.span, || receipt.trace_context());
        self.trace_proof(verified);
        self.count_proof(verified);
        let headers = listed_headers(&receipt.head.headers, self.headers);
        if Meta::size_of(&headers) > Meta::MAX_HEADERS {
            return Disposition::TooLarge { proven: true }.into();
        }
        let callback = Callback::new(&body, receipt.arrived, &headers);
        let signed = verified.subject();
        let unread = match self.unreadable_by_head(&receipt.head.headers) {
            Some(disposition) => disposition.into(),
            None if body == TEST_CALLBACK => return Disposition::Tested.into(),
            None => {
                // One reading for both sinks: a panic is user code's, and what it panicked on is kept.
                let taken = match &self.sink {
                    Sink::Store { read, .. } => {
                        panic::catch(|| read(&callback, signed)).map(|read| read.map(Taken::Key))
                    }
                    Sink::Accept(accept) => panic::catch(|| accept(&callback, signed))
                        .map(|started| started.map(Taken::Started)),
                };
                match taken {
                    Ok(Ok(Taken::Key(key))) => {
                        return self.store(receipt, verified, &headers, key, body);
                    }
                    Ok(Ok(Taken::Started(accepting))) => {
                        return Next::wait(async { accepted(accepting.await) });
                    }
                    Ok(Err(Unreadable::Subject)) => {
                        let refusal = Refusal::new(RefusalKind::Subject, "event");
                        return Disposition::Refused(refusal).into();
                    }
                    Ok(Err(Unreadable::Parse(error))) => {
                        let disposition = match error.kind() {
                            ParseErrorKind::Syntax => Disposition::Malformed,
                            ParseErrorKind::Unprocessable => Disposition::Unprocessable,
                        };
                        Outcome {
                            reason: Some(reason_of(&error)),
                            ..disposition.into()
                        }
                    }
                    Err(_) => Disposition::Panicked { proven: true }.into(),
                }
            }
        };
        Next::wait(self.quarantine(receipt, verified, headers, body, unread))
    }

    fn store<'a>(
        &'a self,
        receipt: &'a Receipt,
        verified: &Verified,
        headers: &HeaderMap,
        key: EventKey,
        body: Bytes,
    ) -> Next<'a> {
        let (queue, (key, rank)) = match &self.sink {
            Sink::Store {
                hint: Some(hint), ..
            } => (&self.tracked, key.into_hint(hint)),
            Sink::Store { .. } | Sink::Accept(_) => (&self.events, key.into_parts()),
        };
        let record = NewRecord::new(queue.clone(), key, body)
            .with_rank(rank)
            .with_meta(meta(receipt, verified, headers).encode());
        match self.insert_now(&record) {
            Some(outcome) => self.stored(outcome).into(),
            None => Next::wait(async { self.stored(self.insert(receipt, record).await) }),
        }
    }

    /// Wakes the worker if there is work for it.
    fn stored(&self, outcome: Outcome) -> Outcome {
        if let (Disposition::Stored | Disposition::Upgraded, Sink::Store { wake, .. }) =
            (outcome.disposition, &self.sink)
        {
            wake.notify_one();
        }
        outcome
    }

    /// Inserts into a store that waits for nothing.
    fn insert_now(&self, record: &NewRecord) -> Option<Outcome> {
        match &self.sink {
            Sink::Store { committer, .. } => committer.insert_now(record).map(inserted),
            Sink::Accept(_) => None,
        }
    }

    pub(super) async fn insert(&self, receipt: &Receipt, record: NewRecord) -> Outcome {
        let Sink::Store { committer, .. } = &self.sink else {
            return Disposition::NotAccepted.into();
        };
        inserted(committer.insert(record, || self.patience(receipt)).await)
    }

    /// How long a store may take: a little less than what is left of the ack deadline, so that its
    /// own error is traced and not only that the answer was late.
    fn patience(&self, receipt: &Receipt) -> Duration {
        self.left(receipt) / 20 * 19
    }

    /// What is left of the ack deadline, which counts from the head.
    fn left(&self, receipt: &Receipt) -> Duration {
        let spent = self.clock.elapsed(&receipt.started);
        self.settings.ack_deadline.saturating_sub(spent)
    }

    /// Traces the outcome and makes the reply. Never the URI, a header or the body.
    fn answer(&self, receipt: Receipt, outcome: &Outcome) -> Response<ReplyBody> {
        self.trace(outcome);
        self.count(outcome.disposition, || self.clock.elapsed(&receipt.started));
        let reply = reply(
            receipt.head,
            outcome.disposition,
            self.settings.conceal,
            &self.retry_after,
        );
        span::ended(&receipt.span, outcome.disposition, reply.status());
        reply
    }
}

/// What follows once a callback was looked at.
enum Next<'a> {
    Answer(Outcome),
    /// In a box of its own, as every future here that most requests do without: what is left is
    /// small enough for an allocator's fast path.
    Wait(Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>),
}

impl<'a> Next<'a> {
    fn wait(outcome: impl Future<Output = Outcome> + Send + 'a) -> Self {
        Self::Wait(Box::pin(outcome))
    }
}

impl<T: Into<Outcome>> From<T> for Next<'_> {
    fn from(outcome: T) -> Self {
        Self::Answer(outcome.into())
    }
}

fn inserted(answer: Result<Inserted, StoreError>) -> Outcome {
    match answer {
        Ok(Inserted::Fresh) => Disposition::Stored.into(),
        Ok(Inserted::Upgraded) => Disposition::Upgraded.into(),
        Ok(Inserted::Duplicate { differs, .. }) => Disposition::Repeated { differs }.into(),
        Ok(Inserted::Full) => Disposition::Full.into(),
        Ok(Inserted::Busy) => Disposition::Busy.into(),
        Err(error) => Outcome::failed(Disposition::StoreFailed, chain(&error)),
    }
}

fn accepted(outcome: Result<(), String>) -> Outcome {
    match outcome {
        Ok(()) => Disposition::Accepted.into(),
        Err(error) => Outcome::failed(Disposition::NotAccepted, error),
    }
}

/// What a sink made of a callback that it could read.
enum Taken<F> {
    Key(EventKey),
    Started(F),
}

pub(super) fn meta(receipt: &Receipt, verified: &Verified, headers: &HeaderMap) -> Meta {
    let mut meta = Meta::new(receipt.arrived, headers).with_trace(receipt.trace_context());
    meta.correlation = verified.correlation().map(str::to_owned);
    meta.labels = verified.labels().map(str::to_owned).collect();
    meta
}
