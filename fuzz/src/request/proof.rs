//! The proofs that are tried, and what each must say: told a second time, from the input alone.

use std::{net::IpAddr, sync::LazyLock};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Uri, header::AUTHORIZATION};
use sha2::Sha256;
use tower_callback::{
    SignedUrl, Token, Verify,
    verify::{
        IpAllowlist, PeerAddr, Presented, Refusal, RefusalKind, Secrets, Signature, Verdict,
        Verified,
    },
    verify_fn,
};

use super::case::{Case, Mount};

/// The secrets that are good.
const SECRETS: [&str; 2] = ["first", "second"];
/// Of capabilities and signatures.
const KEY: &str = "a key of 32 bytes, for the tests";

/// A proof to build an endpoint with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    One(Part),
    And(Part, Part),
    Or(Part, Part),
}

/// What proofs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Query,
    Segment,
    Header,
    Bearer,
    MintedQuery,
    MintedSegment,
    /// The peer's address, within 10.0.0.0/8.
    Address,
    /// A signature of the body, as GitHub makes it.
    Signed,
    /// The header `x-length` says how long the body is, and `x-subject` which event it signs.
    Body,
    /// Needs the body, and cannot decide with it either.
    Undecided,
    /// Panics when the header `x-panic` says so.
    Panics,
}

/// What a proof must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Accept { subject: Option<String> },
    Refuse,
    NeedsBody,
    Panic,
}

use Part::{
    Address, Bearer, Body, Header, MintedQuery, MintedSegment, Panics, Query, Segment, Signed,
    Undecided,
};

impl Proof {
    pub(super) const ALL: [Self; 26] = [
        Self::One(Query),
        Self::One(Segment),
        Self::One(Header),
        Self::One(Bearer),
        Self::One(Body),
        Self::And(Query, Body),
        Self::Or(Query, Body),
        Self::And(Header, Segment),
        Self::Or(Segment, Bearer),
        Self::Or(Body, Header),
        Self::And(Body, Bearer),
        Self::Or(Undecided, Query),
        Self::One(Undecided),
        Self::One(Panics),
        Self::And(Panics, Query),
        Self::None,
        Self::One(MintedQuery),
        Self::One(MintedSegment),
        Self::One(Address),
        Self::One(Signed),
        Self::And(Address, Signed),
        Self::And(Address, MintedSegment),
        Self::And(Signed, Bearer),
        Self::Or(MintedQuery, Signed),
        Self::Or(Signed, Body),
        Self::Or(Address, Query),
    ];

    pub(super) fn reads_segment(self) -> bool {
        let in_segment = |part| matches!(part, Segment | MintedSegment);
        match self {
            Self::None => false,
            Self::One(part) => in_segment(part),
            Self::And(a, b) | Self::Or(a, b) => in_segment(a) || in_segment(b),
        }
    }

    pub(super) fn build(self) -> Option<Box<dyn Verify>> {
        Some(match self {
            Self::None => return None,
            Self::One(part) => part.build(),
            Self::And(a, b) => Box::new(a.build().and(b.build())),
            Self::Or(a, b) => Box::new(a.build().or(b.build())),
        })
    }

    pub(super) fn expected(self, case: &Case, body: Option<&[u8]>) -> Expected {
        use Expected::{Accept, NeedsBody, Panic, Refuse};
        match self {
            Self::None => Accept { subject: None },
            Self::One(part) => part.expected(case, body),
            Self::And(a, b) => match (a.expected(case, body), b.expected(case, body)) {
                (Panic, _) | (_, Panic) => Panic,
                (Refuse, _) | (_, Refuse) => Refuse,
                (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
                (Accept { subject }, Accept { subject: other }) => Accept {
                    subject: subject.or(other),
                },
            },
            Self::Or(a, b) => match (a.expected(case, body), b.expected(case, body)) {
                (Panic, _) | (_, Panic) => Panic,
                (accepted @ Accept { .. }, _) | (_, accepted @ Accept { .. }) => accepted,
                (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
                (Refuse, Refuse) => Refuse,
            },
        }
    }
}

impl Part {
    fn build(self) -> Box<dyn Verify> {
        let secrets: Secrets = [("1", SECRETS[0]), ("2", SECRETS[1])].into();
        match self {
            Query => Box::new(Token::query("token", secrets)),
            Segment => Box::new(Token::segment(secrets)),
            Header => Box::new(Token::header("x-token", secrets)),
            Bearer => Box::new(Token::bearer(secrets)),
            MintedQuery => Box::new(SignedUrl::query("fuzz", BASE, "cap", KEY)),
            MintedSegment => Box::new(minting()),
            Address => Box::new(IpAllowlist::new(["10.0.0.0/8"], PeerAddr::of)),
            Signed => Box::new(Signature::github(KEY)),
            Body => Box::new(verify_fn(by_length)),
            Undecided => Box::new(verify_fn(|_| Verdict::NeedsBody)),
            Panics => Box::new(verify_fn(|presented| {
                let when = presented.headers().get("x-panic").map(|v| v.as_bytes());
                match (when, presented.body()) {
                    (Some(b"head"), None) | (Some(b"body"), Some(_)) => {
                        panic!("the proof was told to panic")
                    }
                    (Some(b"body"), None) => Verdict::NeedsBody,
                    _ => Verdict::Accept(Verified::assertion()),
                }
            })),
        }
    }

    /// Written anew, with other means than the proofs have.
    fn expected(self, case: &Case, body: Option<&[u8]>) -> Expected {
        let accepted = match self {
            Query => is_secret(query(&case.uri, "token")),
            Segment => is_secret(segment(case)),
            Header => is_secret(header(&case.headers, "x-token")),
            Bearer => is_secret(
                header(&case.headers, AUTHORIZATION.as_str()).and_then(|value| {
                    let scheme = value.get(..7)?;
                    scheme
                        .eq_ignore_ascii_case("bearer ")
                        .then(|| value[7..].trim_ascii_start().to_owned())
                }),
            ),
            MintedQuery => query(&case.uri, "cap").as_deref() == Some(minted()),
            MintedSegment => segment(case).as_deref() == Some(minted()),
            Address => match case.peer {
                Some(IpAddr::V4(peer)) => peer.octets()[0] == 10,
                Some(IpAddr::V6(peer)) => peer
                    .to_ipv4_mapped()
                    .is_some_and(|peer| peer.octets()[0] == 10),
                None => false,
            },
            Signed => {
                let digits = header(&case.headers, "x-hub-signature-256");
                let digits = digits
                    .as_deref()
                    .and_then(|value| value.strip_prefix("sha256="));
                let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
                match (
                    digits.filter(|d| d.len() == 64 && d.bytes().all(is_digit)),
                    body,
                ) {
                    (None, _) => false,
                    (Some(_), None) => return Expected::NeedsBody,
                    (Some(digits), Some(body)) => digits == signature(body),
                }
            }
            Body => return body_expected(&case.headers, body),
            Undecided => return Expected::NeedsBody,
            Panics => {
                let when = case.headers.get("x-panic").and_then(|v| v.to_str().ok());
                return match (when, body) {
                    (Some("head"), None) | (Some("body"), Some(_)) => Expected::Panic,
                    (Some("body"), None) => Expected::NeedsBody,
                    _ => Expected::Accept { subject: None },
                };
            }
        };
        if accepted {
            Expected::Accept { subject: None }
        } else {
            Expected::Refuse
        }
    }
}

const BASE: &str = "https://example.com/cb";

fn minting() -> SignedUrl {
    SignedUrl::segment("fuzz", BASE, KEY)
}

/// The one capability that there is.
pub(super) fn minted() -> &'static str {
    static MINTED: LazyLock<String> = LazyLock::new(|| {
        let url = minting().mint_for("order-7", SignedUrl::DEFAULT_LONGEST);
        let url = url.expect("the settings are right");
        let end = url.strip_prefix(BASE).and_then(|end| end.strip_prefix('/'));
        end.expect("it is the last segment").to_owned()
    });
    &MINTED
}

/// The one signature of a body.
pub(super) fn signature(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    let tag = mac.chain_update(body).finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by_length(presented: &Presented<'_>) -> Verdict {
    let refuse = |kind| Verdict::Refuse(Refusal::new(kind, "length"));
    let text = |name| presented.headers().get(name).and_then(|v| v.to_str().ok());
    let Some(length) = text("x-length") else {
        return refuse(RefusalKind::Missing);
    };
    let Some(body) = presented.body() else {
        return Verdict::NeedsBody;
    };
    if length.parse() != Ok(body.len()) {
        return refuse(RefusalKind::Mismatch);
    }
    let verified = Verified::assertion();
    Verdict::Accept(match text("x-subject") {
        Some(subject) => verified.with_subject(subject),
        None => verified,
    })
}

fn body_expected(headers: &HeaderMap, body: Option<&[u8]>) -> Expected {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    match (text("x-length"), body) {
        (None, _) => Expected::Refuse,
        (Some(_), None) => Expected::NeedsBody,
        (Some(length), Some(body)) if length.parse() == Ok(body.len()) => Expected::Accept {
            subject: text("x-subject").map(str::to_owned),
        },
        _ => Expected::Refuse,
    }
}

fn is_secret(token: Option<String>) -> bool {
    token.is_some_and(|token| SECRETS.contains(&token.as_str()))
}

/// The value of a parameter of the query, if there is exactly one.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri
        .query()?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let values: Vec<_> = pairs.filter(|(given, _)| *given == name).collect();
    match values[..] {
        [(_, value)] => Some(value.to_owned()),
        _ => None,
    }
}

/// The segment that may hold the token.
fn segment(case: &Case) -> Option<String> {
    let path = case.uri.path();
    match case.mount {
        Mount::Leaf => {
            let path = path.trim_end_matches('/');
            Some(path[path.rfind('/').map_or(0, |at| at + 1)..].to_owned())
        }
        Mount::Layer => {
            let token = path.strip_prefix("/cb/")?;
            Some(token.strip_suffix('/').unwrap_or(token).to_owned())
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    match values[..] {
        [value] => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}
