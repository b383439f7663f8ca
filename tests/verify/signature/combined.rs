//! Signatures with tokens and addresses.

use std::net::SocketAddr;

use http::request;
use tower_callback::{
    IpAllowlist, Token,
    verify::{
        PeerAddr,
        RefusalKind::{Address, Expired, Malformed, Mismatch, Missing},
        Signature, Verify,
    },
};

use super::{Answer, ByBody, ByHead, NOW, ask, at, head, hex, mac};

const TOKEN: &str = "a-token-of-32-characters-or-more";
const KEY: &str = "a-key-of-32-characters-or-more";
const BODY: &[u8] = b"{}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Right,
    Wrong,
    /// No token; a signature that cannot be one; an address that is not known.
    Unfit,
    Stale,
}
use Part::{Right, Stale, Unfit, Wrong};

fn token() -> Token {
    Token::bearer(TOKEN)
}

fn signature() -> Signature {
    Signature::stripe(KEY)
}

fn address() -> IpAllowlist {
    IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of)
}

fn request(token: Part, signature: Part, address: Part) -> request::Parts {
    let bearer = match token {
        Right => Some(format!("Bearer {TOKEN}")),
        Wrong => Some("Bearer wrong".to_owned()),
        _ => None,
    };
    let time = if signature == Stale { NOW - 301 } else { NOW };
    let key = if signature == Wrong { "wrong" } else { KEY };
    let right = hex(&mac(key, &[time.to_string().as_bytes(), b".", BODY]));
    let value = match signature {
        Unfit => format!("t={time},v1={}", &right[1..]),
        _ => format!("t={time},v1={right}"),
    };
    let mut headers = vec![("stripe-signature", value.as_bytes())];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer.as_bytes()));
    }
    let mut head = head(&headers);
    let peer: Option<SocketAddr> = match address {
        Right => Some("203.0.113.7:4711".parse().unwrap()),
        Wrong => Some("198.51.100.7:4711".parse().unwrap()),
        _ => None,
    };
    if let Some(peer) = peer {
        head.extensions.insert(PeerAddr(peer));
    }
    head
}

const YES: Answer = Answer::Accepted(Vec::new());

#[test]
fn a_signature_and_a_token() {
    for (token_is, signature_is, expected) in [
        (Right, Right, YES),
        (Right, Wrong, ByBody(Mismatch, "signature")),
        (Right, Unfit, ByHead(Malformed, "signature")),
        (Right, Stale, ByHead(Expired, "signed timestamp")),
        // No body is read for who has the wrong token, or none.
        (Wrong, Right, ByHead(Mismatch, "token")),
        (Wrong, Wrong, ByHead(Mismatch, "token")),
        (Unfit, Right, ByHead(Missing, "token")),
        (Unfit, Wrong, ByHead(Missing, "token")),
    ] {
        let head = request(token_is, signature_is, Right);
        for proof in [
            Box::new(signature().and(token())) as Box<dyn Verify>,
            Box::new(token().and(signature())),
        ] {
            let answer = ask(&proof, &head, at(NOW), BODY);
            assert_eq!(answer, expected, "{token_is:?} {signature_is:?}");
        }
    }
}

#[test]
fn a_signature_or_a_token() {
    for (token_is, signature_is, expected) in [
        // The body is asked for, and the signature decides.
        (Wrong, Right, YES),
        (Unfit, Right, YES),
        // What cannot be a signature does not get a body read.
        (Wrong, Unfit, ByHead(Mismatch, "token")),
        (Unfit, Unfit, ByHead(Malformed, "signature")),
        (Unfit, Stale, ByHead(Expired, "signed timestamp")),
        (Unfit, Wrong, ByBody(Mismatch, "signature")),
        (Wrong, Wrong, ByBody(Mismatch, "token")),
    ] {
        let head = request(token_is, signature_is, Right);
        let answer = ask(&token().or(signature()), &head, at(NOW), BODY);
        assert_eq!(answer, expected, "{token_is:?} {signature_is:?}");
    }
}

#[test]
fn who_has_the_token_needs_no_signature_and_no_body_before_proof() {
    use tower_callback::verify::{Presented, Verdict};
    for signature_is in [Right, Wrong, Unfit, Stale] {
        let head = request(Right, signature_is, Right);
        for proof in [
            Box::new(token().or(signature())) as Box<dyn Verify>,
            Box::new(signature().or(token())),
        ] {
            let verdict = proof.verify(&Presented::new(&head, at(NOW)));
            assert!(matches!(verdict, Verdict::Accept(_)), "{signature_is:?}");
        }
    }
}

#[test]
fn an_address_refuses_before_any_body_is_read() {
    for signature_is in [Right, Wrong, Unfit, Stale] {
        for (address_is, part) in [(Wrong, "address"), (Unfit, "peer")] {
            let head = request(Right, signature_is, address_is);
            for proof in [
                Box::new(signature().and(address())) as Box<dyn Verify>,
                Box::new(address().and(signature())),
                Box::new(signature().and(token()).and(address())),
            ] {
                let answer = ask(&proof, &head, at(NOW), BODY);
                assert_eq!(answer, ByHead(Address, part), "{signature_is:?}");
            }
        }
        let head = request(Right, signature_is, Right);
        let alone = ask(&signature(), &head, at(NOW), BODY);
        let both = ask(&signature().and(address()), &head, at(NOW), BODY);
        assert_eq!(both, alone, "{signature_is:?}");
    }
}

#[test]
fn a_provider_that_changes_its_way_of_signing_is_received_both_ways() {
    let proof = signature().or(Signature::github(KEY));
    let stripe = request(Unfit, Right, Right);
    assert_eq!(ask(&proof, &stripe, at(NOW), BODY), YES);
    let value = format!("sha256={}", hex(&mac(KEY, &[BODY])));
    let github = head(&[("x-hub-signature-256", value.as_bytes())]);
    assert_eq!(ask(&proof, &github, at(NOW), BODY), YES);
    assert_eq!(
        ask(&proof, &github, at(NOW), b"[]"),
        ByBody(Mismatch, "signature")
    );
}
