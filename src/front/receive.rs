//! One request, step by step: proof by head, bounded body, proof by body, parse, insert, reply.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header, request};
use http_body::Body;
use sha2::{Digest, Sha256};

use super::{
    CallbackFuture, Disposition, Endpoint, FrontSettings, ReplyBody, Sink, Unreadable,
    body::{self, BodyError},
    reply::reply,
};
use crate::{
    BoxError,
    event::{Callback, EventKey, Meta, ParseErrorKind, listed_headers, stored_precision},
    panic,
    store::{Inserted, NewRecord, StoreErrorKind},
    verify::{Presented, Refusal, RefusalKind, Verdict, Verified},
};

/// The range of the token in the path, if the layer's pattern has one; `None` for the leaf, which
/// takes the last segment.
type Segment = Option<Option<Range<usize>>>;

/// Receives a request. What its head decides is decided here and now.
pub(super) fn receive<B>(
    endpoint: &Arc<Endpoint>,
    request: Request<B>,
    segment: Segment,
) -> CallbackFuture
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let receipt = Receipt {
        started: Instant::now(),
        arrived: stored_precision(endpoint.clock.now()),
        head,
        segment,
        proven: AtomicBool::new(false),
    };
    match endpoint.admit(&receipt, &body) {
        Ok(admission) => {
            let endpoint = Arc::clone(endpoint);
            CallbackFuture::running(async move {
                let work = panic::catch_future(endpoint.process(&receipt, body, admission));
                let disposition = match endpoint
                    .clock
                    .timeout(endpoint.settings.ack_deadline, work)
                    .await
                {
                    Some(Ok(disposition)) => disposition,
                    Some(Err(_)) => endpoint.panicked(receipt.is_proven()),
                    None => Disposition::Late {
                        proven: receipt.is_proven(),
                    },
                };
                endpoint.answer(disposition)
            })
        }
        Err(disposition) => CallbackFuture::ready(endpoint.answer(disposition)),
    }
}

/// A request without its body.
struct Receipt {
    started: Instant,
    arrived: SystemTime,
    head: request::Parts,
    segment: Segment,
    /// Whether the caller has proved himself by now: what goes wrong after that is not concealed.
    proven: AtomicBool,
}

impl Receipt {
    fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
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

/// What the head has proved.
enum Admission {
    Proven(Verified),
    NeedsBody,
}

impl Endpoint {
    /// The proof by head. Nothing is read or stored for who fails it, and no task is started.
    fn admit<B: Body>(&self, receipt: &Receipt, body: &B) -> Result<Admission, Disposition> {
        if receipt.head.method != Method::POST {
            return Err(Disposition::MethodNotAllowed);
        }
        let verdict = panic::catch(|| self.proof.verify(&receipt.presented()))
            .map_err(|_| self.panicked(false))?;
        let (admission, limit) = match verdict {
            Verdict::Accept(verified) => (Admission::Proven(verified), self.settings.body_limit),
            Verdict::NeedsBody => (Admission::NeedsBody, self.unproven_limit()),
            Verdict::Refuse(refusal) => return Err(Disposition::Refused(refusal)),
        };
        let proven = matches!(admission, Admission::Proven(_));
        if body::announces_more(&receipt.head.headers, body, limit) {
            return Err(Disposition::TooLarge { proven });
        }
        Ok(admission)
    }

    /// Everything that the head does not decide.
    async fn process<B>(&self, receipt: &Receipt, body: B, admission: Admission) -> Disposition
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let proven = match admission {
            Admission::Proven(verified) => {
                receipt.proven.store(true, Ordering::Relaxed);
                self.read_body(body, self.settings.body_limit, true)
                    .await
                    .map(|body| (verified, body))
            }
            Admission::NeedsBody => self.prove_by_body(receipt, body).await,
        };
        match proven {
            Ok((verified, body)) => {
                receipt.proven.store(true, Ordering::Relaxed);
                self.take(receipt, verified, body).await
            }
            Err(disposition) => disposition,
        }
    }

    /// The proof by body, within the budget that all such bodies share.
    async fn prove_by_body<B>(
        &self,
        receipt: &Receipt,
        body: B,
    ) -> Result<(Verified, Bytes), Disposition>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let place = self.unproven_bodies.acquire();
        let _place = self
            .clock
            .timeout(self.settings.body_timeout, place)
            .await
            .ok_or(Disposition::Overloaded)?;
        let body = self.read_body(body, self.unproven_limit(), false).await?;
        match self.proof.verify(&receipt.presented().with_body(&body)) {
            Verdict::Accept(verified) => Ok((verified, body)),
            Verdict::Refuse(refusal) => Err(Disposition::Refused(refusal)),
            Verdict::NeedsBody => Err(Disposition::Refused(Refusal::new(
                RefusalKind::Undecided,
                "proof",
            ))),
        }
    }

    async fn read_body<B: Body>(
        &self,
        body: B,
        limit: usize,
        proven: bool,
    ) -> Result<Bytes, Disposition> {
        let read = body::read(body, limit);
        match self.clock.timeout(self.settings.body_timeout, read).await {
            Some(Ok(body)) => Ok(body),
            Some(Err(BodyError::TooLarge)) => Err(Disposition::TooLarge { proven }),
            Some(Err(BodyError::Interrupted)) => Err(Disposition::Interrupted { proven }),
            None => Err(Disposition::TooSlow { proven }),
        }
    }

    /// No body that must be read before proof may be larger than one that need not.
    fn unproven_limit(&self) -> usize {
        let FrontSettings {
            body_limit,
            unproven_body_limit,
            ..
        } = self.settings;
        unproven_body_limit.min(body_limit)
    }

    /// Takes what a proven caller sent.
    async fn take(&self, receipt: &Receipt, verified: Verified, body: Bytes) -> Disposition {
        self.trace_proof(&verified);
        let headers = listed_headers(&receipt.head.headers, self.headers);
        if Meta::size_of(&headers) > Meta::MAX_HEADERS {
            return Disposition::TooLarge { proven: true };
        }
        let callback = Callback::new(&body, receipt.arrived, &headers);
        let signed = verified.subject();
        let unreadable = match self.unreadable_by_head(&receipt.head.headers) {
            Some(disposition) => (disposition, None),
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
                        return self.store(receipt, &verified, &headers, key, body).await;
                    }
                    Ok(Ok(Taken::Started(accepting))) => return self.accepted(accepting.await),
                    Ok(Err(Unreadable::Subject)) => {
                        return Disposition::Refused(Refusal::new(RefusalKind::Subject, "event"));
                    }
                    Ok(Err(Unreadable::Parse(error))) => {
                        let disposition = match error.kind() {
                            ParseErrorKind::Syntax => Disposition::Malformed,
                            ParseErrorKind::Unprocessable => Disposition::Unprocessable,
                        };
                        (disposition, Some(error.to_string()))
                    }
                    Err(_) => (self.panicked(true), None),
                }
            }
        };
        let (disposition, reason) = unreadable;
        self.quarantine(receipt, &verified, body, disposition, reason)
            .await
    }

    /// What the headers say of a body that we do not read.
    fn unreadable_by_head(&self, headers: &HeaderMap) -> Option<Disposition> {
        let encoded = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|codings| codings.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Some(Disposition::Encoded);
        }
        (self.settings.strict_content_type && !is_json(headers)).then_some(Disposition::ContentType)
    }

    async fn store(
        &self,
        receipt: &Receipt,
        verified: &Verified,
        headers: &HeaderMap,
        key: EventKey,
        body: Bytes,
    ) -> Disposition {
        let rank = key.rank();
        let record = NewRecord::new(self.events.clone(), key.into_bytes(), body)
            .with_rank(rank)
            .with_meta(meta(receipt, verified, headers).encode());
        let disposition = self.insert(receipt, record).await;
        if let (Disposition::Stored | Disposition::Upgraded, Sink::Store { wake, .. }) =
            (disposition, &self.sink)
        {
            wake.notify_one();
        }
        disposition
    }

    /// Keeps what nobody could read. If that fails too, the caller has to come again.
    async fn quarantine(
        &self,
        receipt: &Receipt,
        verified: &Verified,
        body: Bytes,
        disposition: Disposition,
        reason: Option<String>,
    ) -> Disposition {
        if matches!(self.sink, Sink::Accept(_)) {
            return disposition;
        }
        let key = quarantine_key(&body, &listed_headers(&receipt.head.headers, self.headers));
        let mut meta = meta(
            receipt,
            verified,
            &self.headers_of_interest(&receipt.head.headers),
        );
        let mut reason = reason.unwrap_or_else(|| disposition.as_str().to_owned());
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        meta.reason = Some(reason);
        let record = NewRecord::new(self.quarantine.clone(), key, body).with_meta(meta.encode());
        match self.insert(receipt, record).await {
            Disposition::Stored | Disposition::Upgraded | Disposition::Repeated { .. } => {
                disposition
            }
            failed => failed,
        }
    }

    /// The event's headers, and those that say how to read a body that we did not.
    fn headers_of_interest(&self, all: &HeaderMap) -> HeaderMap {
        let mut kept = listed_headers(all, self.headers);
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            if kept.contains_key(&name) {
                continue;
            }
            let mut room = MAX_HEADER;
            for value in all.get_all(&name) {
                let Some(left) = room.checked_sub(value.len()) else {
                    break;
                };
                room = left;
                kept.append(name.clone(), value.clone());
            }
        }
        kept
    }

    async fn insert(&self, receipt: &Receipt, record: NewRecord) -> Disposition {
        let Sink::Store { committer, .. } = &self.sink else {
            return Disposition::NotAccepted;
        };
        match committer.insert(record, self.patience(receipt)).await {
            Ok(Inserted::Fresh) => Disposition::Stored,
            Ok(Inserted::Upgraded) => Disposition::Upgraded,
            Ok(Inserted::Duplicate { differs, .. }) => Disposition::Repeated { differs },
            Ok(Inserted::Full) => Disposition::Full,
            Ok(Inserted::Busy) => Disposition::Busy,
            Err(error) => {
                tracing::error!(
                    endpoint = %self.name,
                    rejected = error.kind() == StoreErrorKind::Rejected,
                    error = &error as &dyn std::error::Error,
                    "a callback could not be stored"
                );
                Disposition::StoreFailed
            }
        }
    }

    /// How long a store may take: a little less than what is left of the ack deadline, so that its
    /// own error is traced and not only that the answer was late.
    fn patience(&self, receipt: &Receipt) -> Duration {
        let spent = self.clock.of_store(receipt.started.elapsed());
        self.settings.ack_deadline.saturating_sub(spent) / 20 * 19
    }

    fn accepted(&self, outcome: Result<(), String>) -> Disposition {
        match outcome {
            Ok(()) => Disposition::Accepted,
            Err(error) => {
                tracing::error!(endpoint = %self.name, error, "a callback was not accepted");
                Disposition::NotAccepted
            }
        }
    }

    /// Without the message, which may hold the body: the panic hook has it.
    fn panicked(&self, proven: bool) -> Disposition {
        // A stranger who found out what makes the proof panic must not fill the disk.
        if let Some(held_back) = if proven {
            Some(0)
        } else {
            self.panic_log.pass()
        } {
            tracing::error!(endpoint = %self.name, held_back, "user code panicked on a callback");
        }
        Disposition::Panicked { proven }
    }

    /// Traces the outcome and makes the reply. Never the URI, a header or the body.
    fn answer(&self, disposition: Disposition) -> Response<ReplyBody> {
        self.trace(disposition);
        reply(disposition, self.settings.conceal, &self.retry_after)
    }
}

/// The most bytes of a reason that are kept: a user's own error may quote the whole body.
const MAX_REASON: usize = 512;

/// The most bytes of a header that are kept to say how to read a body.
const MAX_HEADER: usize = 1024;

/// Callbacks that nobody could read are the same if their bodies are, and the headers that the event
/// is read from: an id may stand there.
fn quarantine_key(body: &[u8], headers: &HeaderMap) -> Vec<u8> {
    let body = Sha256::digest(body);
    if headers.is_empty() {
        return body.to_vec();
    }
    let mut whole = Sha256::new_with_prefix(body);
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            whole.update((part.len() as u64).to_be_bytes());
            whole.update(part);
        }
    }
    whole.finalize().to_vec()
}

/// What a sink made of a callback that it could read.
enum Taken<F> {
    Key(EventKey),
    Started(F),
}

fn meta(receipt: &Receipt, verified: &Verified, headers: &HeaderMap) -> Meta {
    let mut meta = Meta::new(receipt.arrived, headers);
    meta.correlation = verified.correlation().map(str::to_owned);
    meta.labels = verified.labels().map(str::to_owned).collect();
    meta
}

/// Whether there is a content type, and every one that is given is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter().peekable();
    types.peek().is_some() && types.all(|value| value.to_str().is_ok_and(is_json_type))
}

fn is_json_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"))
}
