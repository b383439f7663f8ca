//! Signatures over bodies, ours and everybody's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request, request};
use sha2::Sha256;
use tower_callback::{
    music_video::KieSignature,
    verify::{Presented, Secret, Signature, Verdict, Verify},
};

use crate::change::Change;

/// When the requests arrive.
const NOW: u64 = 1_735_661_400;
const KEY: &[u8] = b"a key of 32 bytes, for the tests";

/// Who signs, and how.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Github,
    Stripe,
    StandardWebhooks,
    Kie,
}

/// What is signed.
#[derive(Clone, PartialEq)]
struct Message {
    key: Vec<u8>,
    id: Vec<u8>,
    time: Vec<u8>,
    body: Vec<u8>,
}

/// Holds the laws of signatures against a way of signing, what a change changes, the change, the
/// length of an id, the id, and a body that is taken for a header as well.
///
/// # Panics
///
/// When a law is broken.
pub fn signatures(input: &[u8]) {
    let Some((&[way, part, late], rest)) = input.split_first_chunk::<3>() else {
        return;
    };
    let Some((change, rest)) = Change::take(rest) else {
        return;
    };
    let Some((&length, rest)) = rest.split_first() else {
        return;
    };
    let (id, body) = rest.split_at(usize::from(length).min(rest.len()));
    let way = [Way::Github, Way::Stripe, Way::StandardWebhooks, Way::Kie][usize::from(way % 4)];
    let proof = way.proof();

    // Whoever does not know the key has nothing that passes.
    forged(way, &*proof, body);

    let Some(message) = way.message(id, u64::from(late), body) else {
        return;
    };
    let tag = way.tag(&message);
    let accepted = |message: &Message, tag: &[u8]| {
        let headers = way.headers(message, tag);
        headers.is_some_and(|headers| accepts(&*proof, &headers, &message.body))
    };
    assert!(accepted(&message, &tag), "what is signed verifies");

    // No single change passes, of what is signed or of the signature.
    let mut other = message.clone();
    let mut other_tag = tag.clone();
    match part % 5 {
        0 => other_tag = change.of(&tag),
        // kie.ai signs the id, and nothing else of the body.
        1 if way != Way::Kie => other.body = change.of(&message.body),
        2 if way.signs_id() => {
            other.id = change.of(&message.id);
            if way == Way::Kie {
                other.body = kie_body(&other.id);
            }
        }
        3 if way != Way::Github => {
            other.time = change.of(&message.time);
            // In the one header of Stripe, signatures by other keys may stand behind the time.
            let behind = other.time.strip_prefix(&message.time[..]);
            let is_time = |element: &[u8]| element.starts_with(b"t=");
            if let (Way::Stripe, Some([b',', more @ ..])) = (way, behind)
                && !more.split(|byte| *byte == b',').any(is_time)
            {
                return;
            }
        }
        4 => {
            other.key = change.of(&message.key);
            other_tag = way.tag(&other);
            // HMAC pads keys with zeros.
            let padded = |key: &[u8]| {
                let mut block = key.to_vec();
                block.resize(block.len().max(64), 0);
                block
            };
            if padded(&other.key) == padded(&message.key) {
                return;
            }
        }
        _ => return,
    }
    if other != message || other_tag != tag {
        assert!(!accepted(&other, &other_tag), "a change passes");
    }
}

impl Way {
    fn proof(self) -> Box<dyn Verify> {
        let secret = Secret::from_bytes(KEY);
        match self {
            Self::Github => Box::new(Signature::github(secret)),
            Self::Stripe => Box::new(Signature::stripe(secret)),
            Self::StandardWebhooks => {
                let secret = format!("whsec_{}", STANDARD.encode(KEY));
                Box::new(Signature::standard_webhooks(secret))
            }
            Self::Kie => Box::new(KieSignature::new(secret)),
        }
    }

    fn signs_id(self) -> bool {
        matches!(self, Self::StandardWebhooks | Self::Kie)
    }

    /// Something to sign, if such an id can be signed this way.
    fn message(self, id: &[u8], late: u64, body: &[u8]) -> Option<Message> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        if self.signs_id() && (id.is_empty() || !id.iter().all(plain)) {
            return None;
        }
        Some(Message {
            key: KEY.to_vec(),
            id: id.to_vec(),
            // All of them take a message of the last five minutes.
            time: (NOW - late).to_string().into_bytes(),
            body: match self {
                Self::Kie => kie_body(id),
                _ => body.to_vec(),
            },
        })
    }

    /// The signature, computed beside the code that is tested.
    fn tag(self, message: &Message) -> Vec<u8> {
        let Message {
            key,
            id,
            time,
            body,
        } = message;
        let signed: &[&[u8]] = match self {
            Self::Github => &[body],
            Self::Stripe => &[time, b".", body],
            Self::StandardWebhooks => &[id, b".", time, b".", body],
            Self::Kie => &[id, b".", time],
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(&signed.concat());
        mac.finalize().into_bytes().to_vec()
    }

    /// `None` where it cannot be a header's value.
    fn headers(self, message: &Message, tag: &[u8]) -> Option<Vec<(&'static str, HeaderValue)>> {
        let value = |pieces: &[&[u8]]| HeaderValue::from_bytes(&pieces.concat()).ok();
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = STANDARD.encode(tag);
        Some(match self {
            Self::Github => vec![("x-hub-signature-256", value(&[b"sha256=", hex.as_bytes()])?)],
            Self::Stripe => vec![(
                "stripe-signature",
                value(&[b"t=", &message.time, b",v1=", hex.as_bytes()])?,
            )],
            Self::StandardWebhooks => vec![
                ("webhook-id", value(&[&message.id])?),
                ("webhook-timestamp", value(&[&message.time])?),
                ("webhook-signature", value(&[b"v1,", base64.as_bytes()])?),
            ],
            Self::Kie => vec![
                ("x-webhook-signature", value(&[base64.as_bytes()])?),
                ("x-webhook-timestamp", value(&[&message.time])?),
            ],
        })
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["x-hub-signature-256"],
            Self::Stripe => &["stripe-signature"],
            Self::StandardWebhooks => &["webhook-id", "webhook-timestamp", "webhook-signature"],
            Self::Kie => &["x-webhook-signature", "x-webhook-timestamp"],
        }
    }
}

/// A body of kie.ai with this id in it.
fn kie_body(id: &[u8]) -> Vec<u8> {
    let id = String::from_utf8_lossy(id);
    serde_json::json!({ "code": 400, "data": { "task_id": id } })
        .to_string()
        .into_bytes()
}

/// Lines of the text as the headers of the way, in their order, and the whole text as the body.
fn forged(way: Way, proof: &dyn Verify, text: &[u8]) {
    let lines = text.split(|byte| *byte == b'\n');
    let headers: Vec<_> = way
        .names()
        .iter()
        .zip(lines)
        .filter_map(|(name, line)| Some((*name, HeaderValue::from_bytes(line).ok()?)))
        .collect();
    assert!(!accepts(proof, &headers, text), "a forged one passes");
}

/// Asks as the front does: by the head, and by the body only who was not refused.
fn accepts(proof: &dyn Verify, headers: &[(&'static str, HeaderValue)], body: &[u8]) -> bool {
    let head = head(headers);
    let presented = Presented::new(&head, now());
    match proof.verify(&presented) {
        Verdict::Accept(_) => panic!("the head alone proves nothing of a body"),
        Verdict::Refuse(_) => false,
        Verdict::NeedsBody => match proof.verify(&presented.with_body(body)) {
            Verdict::Accept(_) => true,
            Verdict::Refuse(_) => false,
            Verdict::NeedsBody => panic!("undecided with the body"),
        },
    }
}

fn head(headers: &[(&'static str, HeaderValue)]) -> request::Parts {
    let mut request = Request::post("/callback");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}
