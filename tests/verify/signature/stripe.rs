//! Stripe: `t=…,v1=…` over time and body.

use std::time::Duration;

use tower_callback::verify::{
    RefusalKind,
    RefusalKind::{Early, Expired, Malformed, Mismatch, Missing, Repeated},
    Signature, Verify,
};

use super::{Accepted, Answer, ByBody, ByHead, NOW, accepted, ask_at, hex, mac};

const HEADER: &str = "stripe-signature";
const SECRET: &str = "whsec_test_secret";
const BODY: &[u8] = br#"{"id":"evt_1"}"#;

fn v1(key: &str, time: &str, body: &[u8]) -> String {
    format!("v1={}", hex(&mac(key, &[time.as_bytes(), b".", body])))
}

fn right() -> String {
    v1(SECRET, &NOW.to_string(), BODY)
}

/// The value of the header, presented when it was signed.
fn ask(value: &str) -> Answer {
    ask_at(&Signature::stripe(SECRET), &[(HEADER, value)], NOW, BODY)
}

fn by_head(value: &str, kind: RefusalKind, part: &'static str) {
    assert_eq!(ask(value), ByHead(kind, part), "{value}");
}

#[test]
fn the_computed_vectors_verify() {
    // Computed with Python's `hmac` from the documented rule.
    for (signature, body) in [
        (
            "799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f",
            BODY,
        ),
        (
            "76197a9cd426ffbaa6b61e6ecac793cbf684ea6c43a767c77964f9bd9560174f",
            b"\xff\xfe\x00\x80",
        ),
    ] {
        let value = format!("t=1492774577,v1={signature}");
        let proof = Signature::stripe(SECRET);
        let answer = ask_at(&proof, &[(HEADER, &value)], 1_492_774_577, body);
        assert_eq!(answer, accepted());
    }
}

#[test]
fn one_right_signature_among_others_is_enough_wherever_it_stands() {
    let right = right();
    let wrong = v1("other", &NOW.to_string(), BODY);
    for value in [
        format!("t={NOW},{right}"),
        format!("{right},t={NOW}"),
        format!("t={NOW},{wrong},{right}"),
        format!("t={NOW},{right},{wrong}"),
        format!("t={NOW},{right},{right}"),
        format!("t={NOW},v1=,v1=zz,{right}"),
        format!(
            "t={NOW},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39,{right}"
        ),
        format!(",,t={NOW},,{right},x,=,v1"),
    ] {
        assert_eq!(ask(&value), accepted(), "{value}");
    }
    assert_eq!(
        ask(&format!("t={NOW},{wrong}")),
        ByBody(Mismatch, "signature")
    );
}

#[test]
fn what_cannot_be_a_signature_is_refused_by_the_head() {
    let proof = Signature::stripe(SECRET);
    let none = ask_at(&proof, &[], NOW, BODY);
    assert_eq!(none, ByHead(Missing, "signature"));

    let right = right();
    let digits = &right[3..];
    for none_left in [
        format!("t={NOW}"),
        format!("t={NOW},v1="),
        format!("t={NOW},v0={digits}"),
        format!("t={NOW},V1={digits}"),
        format!("t={NOW}, {right}"),
        format!("t={NOW},{digits}"),
        format!("t={NOW},v1={}", digits.to_uppercase()),
        format!("t={NOW},v1={digits}0"),
        format!("t={NOW},v1={}", &digits[2..]),
    ] {
        by_head(&none_left, Malformed, "signature");
    }
}

#[test]
fn a_time_that_is_missing_repeated_or_no_time_is_refused_by_the_head() {
    let right = right();
    for missing in [right.clone(), format!("T={NOW},{right}"), String::new()] {
        by_head(&missing, Missing, "signed timestamp");
    }
    for repeated in [
        format!("t={NOW},t={NOW},{right}"),
        format!("t={NOW},{right},t="),
        format!("t={NOW},{right},t={NOW},{right}"),
    ] {
        by_head(&repeated, Repeated, "signed timestamp");
    }
    for malformed in [
        "",
        "now",
        "+1735661400",
        "1735661400.0",
        " 1735661400",
        "99999999999999999999",
    ] {
        by_head(
            &format!("t={malformed},{right}"),
            Malformed,
            "signed timestamp",
        );
    }
}

#[test]
fn a_header_given_twice_is_refused_even_if_both_are_right() {
    let value = format!("t={NOW},{}", right());
    let headers = [(HEADER, &*value), (HEADER, &*value)];
    let answer = ask_at(&Signature::stripe(SECRET), &headers, NOW, BODY);
    assert_eq!(answer, ByHead(Repeated, "signature"));
}

#[test]
fn the_tolerance_is_five_minutes_both_ways_and_can_be_another() {
    let value = format!("t={NOW},{}", right());
    let headers = [(HEADER, &*value)];
    let minute = Signature::stripe(SECRET).tolerance(Duration::from_secs(60));
    for (proof, tolerance) in [(Signature::stripe(SECRET), 300), (minute, 60)] {
        let arrives = |time| ask_at(&proof, &headers, time, BODY);
        assert_eq!(arrives(NOW + tolerance), accepted());
        assert_eq!(arrives(NOW - tolerance), accepted());
        let late = arrives(NOW + tolerance + 1);
        assert_eq!(late, ByHead(Expired, "signed timestamp"));
        let early = arrives(NOW - tolerance - 1);
        assert_eq!(early, ByHead(Early, "signed timestamp"));
        assert_eq!(
            proof.horizon(),
            Some(Duration::from_secs(2 * tolerance)),
            "signed by a clock that is ahead, and captured at once"
        );
    }
}

#[test]
fn the_time_is_signed_as_it_is_written() {
    let padded = format!("0{NOW}");
    let value = format!("t={padded},{}", v1(SECRET, &padded, BODY));
    assert_eq!(ask(&value), accepted());
    by_body(&format!("t={padded},{}", right()));
    by_body(&format!("t={},{}", NOW + 1, right()));
}

fn by_body(value: &str) {
    assert_eq!(ask(value), ByBody(Mismatch, "signature"), "{value}");
}

#[test]
fn bytes_cannot_move_between_time_and_body() {
    // Signed: `1735661400.5.{}`.
    let signature = v1(SECRET, "1735661400", b"5.{}");
    let proof = Signature::stripe(SECRET);
    let answer = |time: &str, body: &str| {
        let value = format!("t={time},{signature}");
        ask_at(&proof, &[(HEADER, &value)], NOW, body)
    };
    assert_eq!(answer("1735661400", "5.{}"), accepted());
    let moved = answer("1735661400.5", "{}");
    assert_eq!(moved, ByHead(Malformed, "signed timestamp"));
}

#[test]
fn any_of_several_secrets_is_enough() {
    let proof = Signature::stripe([("new", "whsec_new_secret"), ("old", SECRET)]);
    let time = NOW.to_string();
    for (key, label) in [("whsec_new_secret", "new"), (SECRET, "old")] {
        let value = format!("t={NOW},{},{}", v1("x", &time, BODY), v1(key, &time, BODY));
        let answer = ask_at(&proof, &[(HEADER, &value)], NOW, BODY);
        assert_eq!(answer, Accepted(vec![label.to_owned()]));
    }
    // Of two that match, the first one speaks.
    let value = format!(
        "t={NOW},{},{}",
        v1(SECRET, &time, BODY),
        v1("whsec_new_secret", &time, BODY)
    );
    let answer = ask_at(&proof, &[(HEADER, &value)], NOW, BODY);
    assert_eq!(answer, Accepted(vec!["new".to_owned()]));
}
