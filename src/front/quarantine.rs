//! What is kept of a callback that nobody could read.

use bytes::Bytes;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::{
    Disposition, Endpoint, Sink,
    outcome::Outcome,
    receive::{Receipt, meta},
};
use crate::{count, event::ParseError, store::NewRecord, verify::Verified};

impl Endpoint {
    /// Keeps what nobody could read, with the headers that the event lists. If that fails too, the
    /// caller has to come again.
    pub(super) async fn quarantine(
        &self,
        receipt: &Receipt,
        verified: &Verified,
        listed: HeaderMap,
        body: Bytes,
        unread: Outcome,
    ) -> Outcome {
        let Sink::Store { hint, .. } = self.sink else {
            return unread;
        };
        let signed = verified.subject();
        let key = quarantine_key(&body, &listed, signed);
        let headers = headers_of_interest(listed, &receipt.head.headers);
        let word = || unread.disposition.as_str().to_owned();
        let reason = unread.reason.clone().unwrap_or_else(word);
        let meta = meta(receipt, verified, &headers).quarantined(reason.clone(), signed, hint);
        let record = NewRecord::new(self.quarantine.clone(), key, body).with_meta(meta.encode());
        let kept = self.insert(receipt, record).await;
        if kept.disposition == Disposition::Stored {
            count::quarantined(&self.name, unread.disposition.as_str());
        }
        match kept.disposition {
            Disposition::Stored | Disposition::Upgraded | Disposition::Repeated { .. } => unread,
            _ => Outcome {
                reason: Some(reason),
                ..kept
            },
        }
    }
}

/// The most bytes of a reason that are kept and traced: a user's own error may quote the whole body.
const MAX_REASON: usize = 512;

/// Why a callback could not be read, as it is kept and traced.
pub(super) fn reason_of(error: &ParseError) -> String {
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}

/// The most bytes of a header that are kept to say how to read a body.
const MAX_HEADER: usize = 1024;

/// The event's headers, and those that say how to read a body that we did not.
fn headers_of_interest(mut kept: HeaderMap, all: &HeaderMap) -> HeaderMap {
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

/// Callbacks that nobody could read are the same if their bodies are, and the headers that the event
/// is read from: an id may stand there. So may one in the proof: whoever sends the body of another
/// one's callback under his own proof must not take its place.
fn quarantine_key(body: &[u8], headers: &HeaderMap, signed: Option<&str>) -> Vec<u8> {
    let body = Sha256::digest(body);
    if headers.is_empty() && signed.is_none() {
        return body.to_vec();
    }
    let mut whole = Sha256::new_with_prefix(body);
    if let Some(signed) = signed {
        // No header has this name.
        whole.update(Sha256::digest([b" subject ", signed.as_bytes()].concat()));
    }
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            whole.update((part.len() as u64).to_be_bytes());
            whole.update(part);
        }
    }
    whole.finalize().to_vec()
}
