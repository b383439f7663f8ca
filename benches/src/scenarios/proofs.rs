//! Each proof, asked with what it accepts.

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, request::Parts};
use sha2::Sha256;
use tower_callback::{
    IpAllowlist, Signature, SignedUrl, Token, Verify,
    music_video::KieSignature,
    verify::{PeerAddr, Presented, Secrets, Verdict},
};

use crate::{
    payload::{SECRET, body},
    receivers::ours::ENDPOINT,
};

const ID: &str = "847715e66259774b9aa0422f";

pub(super) fn query(times: u32) {
    let head = head(&format!("/callback?token={SECRET}"), &[]);
    accept(times, Token::query("token", SECRET), &head, b"");
}

pub(super) fn query_wrong(times: u32) {
    let head = head("/callback?token=a-guess-of-32-characters-or-more", &[]);
    let proof = Token::query("token", SECRET);
    ask(times, proof, &head, b"", |verdict| {
        matches!(verdict, Verdict::Refuse(_))
    });
}

pub(super) fn segment(times: u32) {
    let head = head(&format!("/callback/{SECRET}"), &[]);
    accept(times, Token::segment(SECRET), &head, b"");
}

pub(super) fn header(times: u32) {
    let head = head("/callback", &[("x-token", SECRET)]);
    accept(times, Token::header("x-token", SECRET), &head, b"");
}

pub(super) fn bearer(times: u32) {
    let head = head(
        "/callback",
        &[("authorization", &format!("Bearer {SECRET}"))],
    );
    accept(times, Token::bearer(SECRET), &head, b"");
}

pub(super) fn address(times: u32) {
    let mut head = head("/callback", &[]);
    let peer = SocketAddr::from(([203, 0, 113, 7], 40_000));
    head.extensions.insert(PeerAddr(peer));
    let networks = ["198.51.100.0/24", "203.0.113.0/24"];
    accept(times, IpAllowlist::new(networks, PeerAddr::of), &head, b"");
}

pub(super) fn signed_url(times: u32) {
    let base = "https://example.com/callback";
    let proof = SignedUrl::query(ENDPOINT, base, "cap", SECRET);
    let url = proof.mint("order-1742").expect("it can be signed");
    let path = url
        .strip_prefix("https://example.com")
        .expect("it begins with its base");
    let head = head(path, &[]);
    accept(times, proof, &head, b"");
}

pub(super) fn kie(times: u32) {
    let time = now();
    let tag = sign(format!("{ID}.{time}"));
    let headers = [
        ("x-webhook-timestamp", time.as_str()),
        ("x-webhook-signature", &BASE64_STANDARD.encode(tag)),
    ];
    let head = head("/callback", &headers);
    accept(
        times,
        KieSignature::new(SECRET),
        &head,
        &body(ID.as_bytes()),
    );
}

pub(super) fn github(times: u32) {
    let body = body(ID.as_bytes());
    let tag = format!("sha256={}", hex(&sign(&body)));
    let head = head("/callback", &[("x-hub-signature-256", &tag)]);
    accept(times, Signature::github(SECRET), &head, &body);
}

pub(super) fn stripe(times: u32) {
    let (body, time) = (body(ID.as_bytes()), now());
    let tag = sign([format!("{time}.").as_bytes(), &body].concat());
    let value = format!("t={time},v1={}", hex(&tag));
    let head = head("/callback", &[("stripe-signature", &value)]);
    accept(times, Signature::stripe(SECRET), &head, &body);
}

pub(super) fn standard_webhooks(times: u32) {
    let (body, time) = (body(ID.as_bytes()), now());
    let tag = sign([format!("msg_1.{time}.").as_bytes(), &body].concat());
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", time.as_str()),
        (
            "webhook-signature",
            &format!("v1,{}", BASE64_STANDARD.encode(tag)),
        ),
    ];
    let head = head("/callback", &headers);
    let secrets = Secrets::from(BASE64_STANDARD.encode(SECRET));
    accept(times, Signature::standard_webhooks(secrets), &head, &body);
}

fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(target).header("host", "example.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(())
        .expect("a request is well-formed")
        .into_parts()
        .0
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs().to_string()
}

fn sign(content: impl AsRef<[u8]>) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length is one");
    mac.update(content.as_ref());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn accept(times: u32, proof: impl Verify, head: &Parts, body: &[u8]) {
    ask(times, proof, head, body, |verdict| {
        matches!(verdict, Verdict::Accept(_))
    });
}

/// Asks as the front does: without the body first.
fn ask(
    times: u32,
    proof: impl Verify,
    head: &Parts,
    body: &[u8],
    right: impl Fn(&Verdict) -> bool,
) {
    let proof: Box<dyn Verify> = Box::new(proof);
    let arrived = SystemTime::now();
    for _ in 0..times {
        let presented = Presented::new(black_box(head), arrived);
        let mut verdict = proof.verify(&presented);
        if matches!(verdict, Verdict::NeedsBody) {
            verdict = proof.verify(&presented.with_body(body));
        }
        assert!(right(&verdict), "{verdict:?}");
    }
}
