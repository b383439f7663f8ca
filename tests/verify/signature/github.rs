//! GitHub: `sha256=…` over the body.

use std::time::Duration;

use tower_callback::verify::{
    RefusalKind::{Expired, Malformed, Mismatch, Missing, Repeated},
    Secret, Signature, Verify,
};

use super::{Accepted, Answer, ByBody, ByHead, NOW, accepted, ask_at, at, hex, mac};

const HEADER: &str = "x-hub-signature-256";
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"Hello, World!";
const RIGHT: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn ask(values: &[&str], body: &[u8]) -> Answer {
    let headers: Vec<_> = values.iter().map(|value| (HEADER, *value)).collect();
    ask_at(&Signature::github(SECRET), &headers, NOW, body)
}

fn signed(key: &str, body: &[u8]) -> String {
    format!("sha256={}", hex(&mac(key, &[body])))
}

#[test]
fn the_documented_example_verifies() {
    assert_eq!(ask(&[RIGHT], BODY), accepted());
}

#[test]
fn another_body_or_another_key_does_not() {
    for body in [
        &b"Hello, World"[..],
        b"Hello, World! ",
        b"hello, World!",
        b"",
    ] {
        assert_eq!(ask(&[RIGHT], body), ByBody(Mismatch, "signature"));
    }
    let wrong = signed("it's a Secret to Everybody", BODY);
    assert_eq!(ask(&[&wrong], BODY), ByBody(Mismatch, "signature"));
}

#[test]
fn any_bytes_can_be_signed() {
    for body in [&b""[..], b"\xff\xfe\0\x80", &[0; 100_000]] {
        assert_eq!(ask(&[&signed(SECRET, body)], body), accepted());
    }
}

#[test]
fn what_cannot_be_a_signature_is_refused_by_the_head() {
    assert_eq!(ask(&[], BODY), ByHead(Missing, "signature"));
    let digits = RIGHT.strip_prefix("sha256=").unwrap();
    for value in [
        "",
        "sha256=",
        digits,
        &format!("sha1={digits}"),
        &format!("SHA256={digits}"),
        &format!("sha256 ={digits}"),
        &format!("sha256={}", digits.to_uppercase()),
        &format!("sha256={}", &digits[1..]),
        &format!("sha256={}", &digits[2..]),
        &format!("{RIGHT}0"),
        &format!("{RIGHT}00"),
        &format!("{RIGHT},{RIGHT}"),
        &format!("{RIGHT} {RIGHT}"),
        &format!("x,{RIGHT}"),
    ] {
        assert_eq!(
            ask(&[value], BODY),
            ByHead(Malformed, "signature"),
            "{value}"
        );
    }
}

#[test]
fn a_header_given_twice_is_refused_even_if_both_are_right() {
    let wrong = signed("other", BODY);
    for pair in [[RIGHT, RIGHT], [RIGHT, "x"], [&wrong, RIGHT], ["", RIGHT]] {
        assert_eq!(ask(&pair, BODY), ByHead(Repeated, "signature"), "{pair:?}");
    }
}

#[test]
fn the_secret_that_matched_is_told_by_its_label() {
    let proof = Signature::github([("new", "secret-of-november"), ("old", "secret-of-october")]);
    for (label, key) in [("new", "secret-of-november"), ("old", "secret-of-october")] {
        let headers = [(HEADER, &*signed(key, BODY))];
        let answer = ask_at(&proof, &headers, NOW, BODY);
        assert_eq!(answer, Accepted(vec![label.to_owned()]));
    }
    let headers = [(HEADER, &*signed("secret-of-september", BODY))];
    let answer = ask_at(&proof, &headers, NOW, BODY);
    assert_eq!(answer, ByBody(Mismatch, "signature"));
}

#[test]
fn a_secret_is_good_until_its_end_and_no_longer() {
    let proof = Signature::github(Secret::new(SECRET).with_until(at(NOW)));
    let headers = [(HEADER, RIGHT)];
    assert_eq!(ask_at(&proof, &headers, NOW - 1, BODY), accepted());
    assert_eq!(
        ask_at(&proof, &headers, NOW, BODY),
        ByBody(Expired, "signature")
    );
}

#[test]
fn without_a_signed_time_a_captured_request_is_good_for_ever() {
    let proof = Signature::github(SECRET);
    assert_eq!(proof.horizon(), None);
    let later = NOW + Duration::from_hours(24 * 365).as_secs();
    assert_eq!(ask_at(&proof, &[(HEADER, RIGHT)], later, BODY), accepted());
}

#[test]
fn nobody_signs_with_the_empty_key() {
    let proof = Signature::github([Secret::new(""), Secret::new(SECRET)]);
    let headers = [(HEADER, &*signed("", BODY))];
    assert_eq!(
        ask_at(&proof, &headers, NOW, BODY),
        ByBody(Mismatch, "signature")
    );
    assert_eq!(ask_at(&proof, &[(HEADER, RIGHT)], NOW, BODY), accepted());
}
