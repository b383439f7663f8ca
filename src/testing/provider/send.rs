//! From an order to what came of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{Either, Full};

use super::{
    Answer, Kind, Signer, Target,
    drip::Drip,
    target::{Stream, forged_headers},
    wire,
};
use crate::Clock;

/// Sends what it is told to. All requests of one run share it.
pub(super) struct Sender {
    genuine: (Target, HeaderMap),
    forged: (Target, HeaderMap),
    signer: Option<Signer>,
    clock: Clock,
    timeout: Duration,
}

/// One request to send.
pub(super) struct Order {
    pub(super) event: usize,
    pub(super) task_id: Arc<str>,
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) manner: Manner,
}

/// How the body is sent.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    Whole,
    Slow(Duration),
    Cut(usize),
}

impl Sender {
    pub(super) fn new(
        target: Target,
        headers: HeaderMap,
        signer: Option<Signer>,
        clock: Clock,
        timeout: Duration,
    ) -> Self {
        // A signature is a proof too: where there is one, the path is left as it is.
        let proven_by_headers = !headers.is_empty() || signer.is_some();
        Self {
            forged: target.forged(&headers, proven_by_headers),
            genuine: (target, headers),
            signer,
            clock,
            timeout,
        }
    }

    /// Sends it, and waits for the answer or the timeout.
    pub(super) async fn send(&self, order: &Order) -> Answer {
        let mut answered = None;
        let sending = self.try_send(order, &mut answered);
        let failed = match self.clock.timeout(self.timeout, sending).await {
            Some(failed) => failed,
            None => Answer::TimedOut,
        };
        // The status counts as soon as it is there, whatever became of the rest.
        answered.map_or(failed, Answer::Status)
    }

    /// What is to be said if there is no status.
    async fn try_send(&self, order: &Order, answered: &mut Option<StatusCode>) -> Answer {
        let (target, headers) = match order.kind {
            Kind::WrongProof => &self.forged,
            _ => &self.genuine,
        };
        let mut headers = headers.clone();
        if let Some(signer) = &self.signer {
            let signed = signer.headers(&order.task_id, &order.body, self.clock.now());
            headers.extend(match order.kind {
                Kind::WrongProof => forged_headers(&signed),
                _ => signed,
            });
        }
        let Ok(stream) = target.connect().await else {
            return Answer::NoConnection;
        };
        self.write(stream, target, &headers, order, answered).await
    }

    async fn write(
        &self,
        stream: Stream,
        target: &Target,
        headers: &HeaderMap,
        order: &Order,
        answered: &mut Option<StatusCode>,
    ) -> Answer {
        let body = order.body.clone();
        let body = match order.manner {
            Manner::Whole => Either::Left(Full::new(body)),
            Manner::Slow(all) => Either::Right(Drip::new(body, all, self.clock.clone())),
            Manner::Cut(kept) => {
                let request = wire::request(target, headers, ());
                // A connection that ends before we end it is as good a cut.
                let _ = wire::cut(stream, request, &body, kept).await;
                return Answer::CutOff;
            }
        };
        let request = wire::request(target, headers, body);
        // Without a status, every error is the same to a provider.
        let _ = wire::exchange(stream, request, answered).await;
        Answer::Broken
    }
}
