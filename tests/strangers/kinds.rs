//! Every kind of proof, each with the canary as its secret, and what it takes to pass it.

use std::{
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Request};
use sha2::Sha256;
use tower_callback::{
    IpAllowlist, SignedUrl, Token, Verify,
    music_video::KieSignature,
    verify::{PeerAddr, Refusal, RefusalKind, Signature, TrustedProxies, Verdict, Verified},
    verify_fn,
};

use crate::{CANARY, body::Chunks};

/// A request before it has a body.
pub(crate) struct Head {
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) peer: Option<&'static str>,
    /// Whether it takes the body to tell that this proves nothing.
    pub(crate) is_by_body: bool,
}

impl Head {
    pub(crate) fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            headers: Vec::new(),
            peer: None,
            is_by_body: false,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn from(mut self, peer: &'static str) -> Self {
        self.peer = Some(peer);
        self
    }

    fn by_body(mut self) -> Self {
        self.is_by_body = true;
        self
    }

    pub(crate) fn post(&self, body: Chunks) -> Request<Chunks> {
        let mut request = Request::post(&self.target).body(body).unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        if let Some(peer) = self.peer {
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            request.extensions_mut().insert(PeerAddr(peer));
        }
        request
    }
}

/// A kind of proof.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) proof: fn() -> Box<dyn Verify>,
    /// A head that proves the caller, for a task and its body.
    pub(crate) good: fn(task: &str, body: &[u8]) -> Head,
    /// Heads that do not, whatever the body is.
    pub(crate) bad: fn() -> Vec<Head>,
}

const PATH: &str = "/callback";

pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "query token",
            proof: || Box::new(Token::query("token", [("november", CANARY)])),
            good: |_, _| Head::new(format!("{PATH}?token={CANARY}")),
            bad: || {
                [
                    format!("{PATH}?token=x{CANARY}"),
                    format!("{PATH}?token={CANARY}&token={CANARY}"),
                    format!("{PATH}?{CANARY}"),
                    format!("{PATH}?{CANARY}={CANARY}"),
                    format!("{PATH}/{CANARY}"),
                    format!("http://{CANARY}@example.com/{CANARY}?TOKEN={CANARY}"),
                ]
                .map(Head::new)
                .into()
            },
        },
        Kind {
            name: "segment token",
            proof: || Box::new(Token::segment(CANARY)),
            good: |_, _| Head::new(format!("{PATH}/{CANARY}")),
            bad: || {
                [
                    format!("{PATH}/{CANARY}x"),
                    format!("{PATH}/{CANARY}/x"),
                    format!("/?token={CANARY}"),
                ]
                .map(Head::new)
                .into()
            },
        },
        Kind {
            name: "header token",
            proof: || Box::new(Token::header("x-token", CANARY)),
            good: |_, _| Head::new(PATH).with("x-token", CANARY),
            bad: || {
                vec![
                    Head::new(PATH),
                    Head::new(PATH).with("x-token", format!("{CANARY}x")),
                    Head::new(PATH)
                        .with("x-token", CANARY)
                        .with("x-token", CANARY),
                    Head::new(PATH).with("x-tokens", CANARY),
                ]
            },
        },
        Kind {
            name: "bearer token",
            proof: || Box::new(Token::bearer(CANARY)),
            good: |_, _| Head::new(PATH).with("authorization", format!("Bearer {CANARY}")),
            bad: || {
                vec![
                    Head::new(PATH).with("authorization", CANARY),
                    Head::new(PATH).with("authorization", format!("Basic {CANARY}")),
                    Head::new(PATH).with("authorization", format!("Bearer {CANARY}x")),
                ]
            },
        },
        Kind {
            name: "address",
            proof: || Box::new(allowlist(TrustedProxies::x_forwarded_for(["10.0.0.0/8"]))),
            good: |_, _| {
                Head::new(PATH)
                    .from("10.0.0.1")
                    .with("x-forwarded-for", format!("{CANARY}, 203.0.113.7"))
            },
            bad: || {
                vec![
                    Head::new(PATH),
                    Head::new(PATH).from("198.51.100.1"),
                    Head::new(PATH).from("10.0.0.1"),
                    Head::new(PATH)
                        .from("10.0.0.1")
                        .with("x-forwarded-for", format!("203.0.113.7, {CANARY}")),
                    Head::new(PATH)
                        .from("10.0.0.1")
                        .with("x-forwarded-for", "198.51.100.1"),
                ]
            },
        },
        Kind {
            name: "forwarded address and token",
            proof: || {
                let proxies = TrustedProxies::forwarded(["10.0.0.0/8"]);
                Box::new(Token::query("token", CANARY).and(allowlist(proxies)))
            },
            good: |_, _| {
                Head::new(format!("{PATH}?token={CANARY}"))
                    .from("10.0.0.1")
                    .with("forwarded", format!("for={CANARY}, for=203.0.113.7"))
            },
            bad: || {
                let guessed = || Head::new(format!("{PATH}?token={CANARY}x")).from("10.0.0.1");
                let known = || Head::new(format!("{PATH}?token={CANARY}")).from("10.0.0.1");
                vec![
                    guessed().with("forwarded", "for=203.0.113.7"),
                    guessed().with("forwarded", "for=198.51.100.1"),
                    known().with("forwarded", "for=198.51.100.1"),
                    known().with("forwarded", format!("for={CANARY}")),
                    known(),
                ]
            },
        },
        Kind {
            name: "function of the body",
            proof: || Box::new(by_body()),
            good: |task, body| {
                Head::new(PATH)
                    .with("x-length", body.len().to_string())
                    .with("x-task", task)
            },
            bad: || {
                vec![
                    Head::new(PATH),
                    Head::new(PATH).with("x-length", CANARY).by_body(),
                ]
            },
        },
        Kind {
            name: "token or function of the body",
            proof: || Box::new(Token::query("token", CANARY).or(by_body())),
            good: |_, _| Head::new(format!("{PATH}?token={CANARY}")).with("x-length", CANARY),
            bad: || {
                vec![
                    Head::new(format!("{PATH}?token={CANARY}x")),
                    Head::new(format!("{PATH}?token={CANARY}x"))
                        .with("x-length", CANARY)
                        .by_body(),
                ]
            },
        },
        Kind {
            name: "signed url",
            proof: || Box::new(signed_url("music-video", CANARY)),
            good: |_, _| minted(&signed_url("music-video", CANARY)),
            bad: || {
                let good = minted(&signed_url("music-video", CANARY)).target;
                let unknown = format!("{CANARY}x");
                vec![
                    minted(&signed_url("lyrics", CANARY)),
                    minted(&signed_url("music-video", &unknown)),
                    minted_for(&signed_url("music-video", CANARY), Duration::ZERO),
                    Head::new(format!("{good}x")),
                    Head::new(good.replacen("cap=", "cap=x", 1)),
                    Head::new(format!("{good}&cap=x")),
                    Head::new(format!("{PATH}?cap={CANARY}")),
                    Head::new(PATH),
                ]
            },
        },
        Kind {
            name: "signed url in the path",
            proof: || {
                let keys = [("november", CANARY)];
                Box::new(SignedUrl::segment("music-video", BASE, keys))
            },
            good: |_, _| {
                let keys = [("november", CANARY)];
                minted(&SignedUrl::segment("music-video", BASE, keys))
            },
            bad: || {
                vec![
                    minted(&signed_url("music-video", CANARY)),
                    Head::new(format!("{PATH}/{CANARY}")),
                ]
            },
        },
        Kind {
            name: "github",
            proof: || Box::new(Signature::github([("november", CANARY)])),
            good: |_, body| {
                Head::new(PATH).with(
                    "x-hub-signature-256",
                    format!("sha256={}", hex(&tag(&[body]))),
                )
            },
            bad: || {
                let signed = |value: String| Head::new(PATH).with("x-hub-signature-256", value);
                vec![
                    Head::new(PATH),
                    signed(CANARY.to_owned()),
                    signed(format!("sha256={CANARY}")),
                    signed(format!("sha256={}", hex(&[7; 32]))).by_body(),
                ]
            },
        },
        Kind {
            name: "stripe",
            proof: || Box::new(Signature::stripe(CANARY)),
            good: |_, body| {
                let time = now();
                let tag = hex(&tag(&[time.as_bytes(), b".", body]));
                Head::new(PATH).with("stripe-signature", format!("t={time},v1={tag},v0={CANARY}"))
            },
            bad: || {
                let signed = |value: String| Head::new(PATH).with("stripe-signature", value);
                let tag = hex(&[7; 32]);
                vec![
                    signed(format!("t={CANARY},v1={tag}")),
                    signed(format!("t=1700000000,v1={tag}")),
                    signed(format!("t={},v1={CANARY}", now())),
                    signed(format!("t={},v1={tag},v0={CANARY}", now())).by_body(),
                ]
            },
        },
        Kind {
            name: "standard webhooks",
            proof: || {
                let secret = format!("whsec_{}", STANDARD.encode(CANARY));
                Box::new(Signature::standard_webhooks(secret))
            },
            good: |_, body| {
                let time = now();
                let tag = tag(&[CANARY.as_bytes(), b".", time.as_bytes(), b".", body]);
                Head::new(PATH)
                    .with("webhook-id", CANARY)
                    .with("webhook-timestamp", time)
                    .with("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
            },
            bad: || {
                let signed = |value: String| {
                    Head::new(PATH)
                        .with("webhook-id", CANARY)
                        .with("webhook-timestamp", now())
                        .with("webhook-signature", value)
                };
                vec![
                    Head::new(PATH).with("webhook-signature", CANARY),
                    signed(format!("v1,{CANARY}")),
                    signed(format!("v1,{}", STANDARD.encode([7; 32]))).with("webhook-id", "x"),
                    signed(format!("v1,{CANARY} v1,{}", STANDARD.encode([7; 32]))).by_body(),
                ]
            },
        },
        Kind {
            name: "kie",
            proof: || Box::new(KieSignature::new(CANARY)),
            good: |task, _| kie(&tag(&[task.as_bytes(), b".", now().as_bytes()])),
            bad: || {
                vec![
                    Head::new(PATH),
                    Head::new(PATH).with("x-webhook-signature", CANARY),
                    kie(&[7; 31]),
                    kie(&[7; 32]).by_body(),
                ]
            },
        },
    ]
}

const BASE: &str = "https://example.com/callback";

fn signed_url(endpoint: &str, key: &str) -> SignedUrl {
    SignedUrl::query(endpoint, BASE, "cap", [("november", key)])
}

fn minted(urls: &SignedUrl) -> Head {
    minted_for(urls, SignedUrl::DEFAULT_EXPIRY)
}

fn minted_for(urls: &SignedUrl, life: Duration) -> Head {
    let url = urls.mint_for("order-1742", life).unwrap();
    Head::new(url.strip_prefix("https://example.com").unwrap())
}

fn kie(tag: &[u8]) -> Head {
    Head::new(PATH)
        .with("x-webhook-timestamp", now())
        .with("x-webhook-signature", STANDARD.encode(tag))
}

/// HMAC-SHA256 with the canary as the key.
fn tag(parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(CANARY.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The same for the whole run, so that two heads that are made alike are alike.
fn now() -> String {
    static NOW: LazyLock<u64> = LazyLock::new(|| UNIX_EPOCH.elapsed().unwrap().as_secs());
    NOW.to_string()
}

fn allowlist(proxies: TrustedProxies) -> IpAllowlist {
    IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of).behind(proxies)
}

/// Accepts bodies that are as long as a header says, and about the task that another one says.
fn by_body() -> impl Verify {
    verify_fn(|presented| {
        let header = |name: &str| presented.headers().get(name)?.to_str().ok();
        let Some(length) = header("x-length") else {
            return Verdict::Refuse(Refusal::new(RefusalKind::Missing, "length"));
        };
        match presented.body() {
            None => Verdict::NeedsBody,
            Some(body) if body.len().to_string() == length => Verdict::Accept(
                Verified::assertion().with_subject(header("x-task").unwrap_or_default()),
            ),
            Some(_) => Verdict::Refuse(Refusal::new(RefusalKind::Mismatch, "length")),
        }
    })
}
