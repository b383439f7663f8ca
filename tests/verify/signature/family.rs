//! Signatures put together by hand.

use tower_callback::verify::{
    Encoding, Presented,
    RefusalKind::{Malformed, Mismatch, Missing},
    Secret, Signature, Verdict, Verify,
};

use super::{ByBody, ByHead, NOW, accepted, ask_at, at, base64, head, hex, mac};

/// Key, data and HMAC-SHA-256 of each test case but the fifth, which is cut to 128 bits.
fn rfc_4231() -> [(Vec<u8>, Vec<u8>, &'static str); 6] {
    [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ]
}

#[test]
fn the_vectors_of_rfc_4231_verify() {
    for (key, data, signature) in rfc_4231() {
        let proof = Signature::hmac_sha256("x-signature", Secret::from_bytes(key));
        let headers = [("x-signature", signature)];
        assert_eq!(ask_at(&proof, &headers, NOW, &data), accepted());
        assert_eq!(
            ask_at(&proof, &headers, NOW, &data[1..]),
            ByBody(Mismatch, "signature")
        );
    }
}

#[test]
fn slacks_documented_example_verifies() {
    let proof = Signature::hmac_sha256("X-Slack-Signature", "8f742231b10e8888abcd99yyyzzz85a5")
        .prefix("v0=")
        .timestamp_header("X-Slack-Request-Timestamp")
        .signed_prefix("v0")
        .separator(":");
    let headers = [
        ("x-slack-request-timestamp", "1531420618"),
        (
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
    ];
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=\
        G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect\
        &text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
        96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    assert_eq!(ask_at(&proof, &headers, 1_531_420_618, body), accepted());
    assert_eq!(
        ask_at(&proof, &headers, 1_531_420_618, &body[1..]),
        ByBody(Mismatch, "signature")
    );
}

#[test]
fn a_signature_is_read_in_the_encoding_that_was_chosen_and_in_no_other() {
    let tag = mac("key", &[b"body"]);
    let written = [
        (Encoding::Hex, hex(&tag)),
        (Encoding::UpperHex, hex(&tag).to_uppercase()),
        (Encoding::Base64, base64(&tag)),
    ];
    for (encoding, _) in &written {
        let proof = Signature::hmac_sha256("x-signature", "key").encoding(*encoding);
        for (written_in, value) in &written {
            let answer = ask_at(&proof, &[("x-signature", value)], NOW, "body");
            if written_in == encoding {
                assert_eq!(answer, accepted(), "{encoding:?}");
            } else {
                assert_eq!(answer, ByHead(Malformed, "signature"), "{encoding:?}");
            }
        }
    }
}

#[test]
fn every_piece_is_signed_in_its_order() {
    let proof = |separator: &str| {
        Signature::hmac_sha256("x-signature", "key")
            .signed_prefix("c")
            .id_header("x-id")
            .timestamp_header("x-time")
            .separator(separator)
    };
    let time = NOW.to_string();
    for (signed, separator, is_right) in [
        (format!("c|7|{NOW}|body"), "|", true),
        (format!("c.7.{NOW}.body"), ".", true),
        (format!("c.7.{NOW}.body"), "|", false),
        (format!("c|{NOW}|7|body"), "|", false),
        (format!("7|{NOW}|c|body"), "|", false),
        (format!("c7|{NOW}|body"), "|", false),
        (format!("c|7|{NOW}body"), "|", false),
        (format!("c|7|{NOW}|"), "|", false),
    ] {
        let signature = hex(&mac("key", &[signed.as_bytes()]));
        let headers = [
            ("x-signature", &*signature),
            ("x-id", "7"),
            ("x-time", &time),
        ];
        let answer = ask_at(&proof(separator), &headers, NOW, "body");
        assert_eq!(answer == accepted(), is_right, "{signed} {separator}");
    }
}

#[test]
fn a_time_that_nothing_separates_from_the_body_proves_nothing() {
    let proof = Signature::hmac_sha256("x-signature", "key")
        .timestamp_header("x-time")
        .separator("");
    let time = NOW.to_string();
    let signature = hex(&mac("key", &[time.as_bytes(), b"body"]));
    let headers = [("x-signature", &*signature), ("x-time", &*time)];
    assert_eq!(
        ask_at(&proof, &headers, NOW, "body"),
        ByHead(Malformed, "signed timestamp")
    );
}

#[test]
fn nothing_at_all_can_stand_between_a_constant_and_the_body() {
    let proof = Signature::hmac_sha256("x-signature", "key")
        .signed_prefix("v0")
        .separator("");
    let signature = hex(&mac("key", &[b"v0body"]));
    assert_eq!(
        ask_at(&proof, &[("x-signature", &*signature)], NOW, "body"),
        accepted()
    );
}

#[test]
fn a_signed_id_is_the_subject_only_where_that_was_said() {
    let proof = Signature::hmac_sha256("x-signature", "key").id_header("x-id");
    let subject = |proof: &Signature, id: &[u8]| {
        let signature = hex(&mac("key", &[id, b".", b"body"]));
        let head = head(&[("x-signature", signature.as_bytes()), ("x-id", id)]);
        let presented = Presented::new(&head, at(NOW));
        match proof.verify(&presented.with_body(b"body")) {
            Verdict::Accept(verified) => Ok(verified.subject().map(str::to_owned)),
            Verdict::Refuse(refusal) => Err((refusal.kind(), refusal.part())),
            Verdict::NeedsBody => panic!("the body is there"),
        }
    };
    assert_eq!(subject(&proof, b"order-7"), Ok(None));
    assert_eq!(subject(&proof, b"order-\xff"), Ok(None));
    let proof = proof.id_is_subject();
    assert_eq!(subject(&proof, b"order-7"), Ok(Some("order-7".to_owned())));
    assert_eq!(
        subject(&proof, "ordnung-ä".as_bytes()),
        Ok(Some("ordnung-ä".to_owned()))
    );
    assert_eq!(
        subject(&proof, b"order-\xff"),
        Err((Malformed, "signed id"))
    );
}

#[test]
fn an_id_alone_can_be_signed() {
    let proof = Signature::hmac_sha256("x-signature", "key").id_header("x-id");
    let signature = hex(&mac("key", &[b"order-7", b".", b"body"]));
    let answer = |id: &[(&str, &str)]| {
        let headers = [&[("x-signature", &*signature)], id].concat();
        ask_at(&proof, &headers, NOW, "body")
    };
    assert_eq!(answer(&[("x-id", "order-7")]), accepted());
    assert_eq!(
        answer(&[("x-id", "order-8")]),
        ByBody(Mismatch, "signature")
    );
    assert_eq!(answer(&[]), ByHead(Missing, "signed id"));
}

#[test]
fn debug_output_shows_no_secret() {
    let raw = Signature::stripe([("2026-11", "hunter2-hunter2")]);
    let base64 = Signature::standard_webhooks("whsec_aHVudGVyMi1odW50ZXIy");
    for proof in [raw, base64] {
        let shown = format!("{proof:?} {proof:#?}");
        for secret in ["hunter2", "aHVudGVyMi1odW50ZXIy", "104, 117, 110"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
