//! Signatures over the body.

mod build;
mod combined;
mod family;
mod github;
mod kie;
mod laws;
mod standard_webhooks;
mod stripe;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request, request};
use sha2::Sha256;
use tower_callback::verify::{Presented, RefusalKind, Verdict, Verify};

/// When most of these requests are signed and arrive.
const NOW: u64 = 1_735_661_400;

/// HMAC-SHA256 over the pieces, computed beside the code that is tested.
fn mac(key: impl AsRef<[u8]>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).unwrap();
    mac.update(&pieces.concat());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// What a proof says to a head, and then to the body if it asks for it.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// With the labels of the secrets that matched.
    Accepted(Vec<String>),
    ByHead(RefusalKind, &'static str),
    ByBody(RefusalKind, &'static str),
}
use Answer::{Accepted, ByBody, ByHead};

fn accepted() -> Answer {
    Accepted(Vec::new())
}

fn head(headers: &[(&str, &[u8])]) -> request::Parts {
    let (mut head, ()) = Request::post("/c").body(()).unwrap().into_parts();
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        head.headers
            .append(name, HeaderValue::from_bytes(value).unwrap());
    }
    head
}

/// Asks as the front does: by the head, and by the body only who was not refused.
#[track_caller]
fn ask(proof: &impl Verify, head: &request::Parts, arrived: SystemTime, body: &[u8]) -> Answer {
    let presented = Presented::new(head, arrived);
    match proof.verify(&presented) {
        Verdict::Accept(verified) => panic!("accepted by the head alone: {verified:?}"),
        Verdict::Refuse(refusal) => return ByHead(refusal.kind(), refusal.part()),
        Verdict::NeedsBody => {}
    }
    match proof.verify(&presented.with_body(body)) {
        Verdict::Accept(verified) => Accepted(verified.labels().map(str::to_owned).collect()),
        Verdict::Refuse(refusal) => ByBody(refusal.kind(), refusal.part()),
        Verdict::NeedsBody => panic!("undecided with the body"),
    }
}

#[track_caller]
fn ask_at(
    proof: &impl Verify,
    headers: &[(&str, &str)],
    arrived: u64,
    body: impl AsRef<[u8]>,
) -> Answer {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    ask(proof, &head(&headers), at(arrived), body.as_ref())
}
