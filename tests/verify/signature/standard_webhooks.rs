//! Standard Webhooks: `v1,…` over id, time and body.

use std::time::Duration;

use tower_callback::verify::{
    RefusalKind,
    RefusalKind::{Early, Expired, Malformed, Mismatch, Missing, Repeated},
    Secret, Signature, Verify,
};

use super::{Accepted, Answer, ByBody, ByHead, NOW, accepted, ask_at, base64, mac};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY: [u8; 24] = [
    0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
    0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
];
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &str = r#"{"test": 2432232314}"#;

fn signature(key: &[u8], id: &str, time: &str, body: impl AsRef<[u8]>) -> String {
    let pieces = [id.as_bytes(), b".", time.as_bytes(), b".", body.as_ref()];
    format!("v1,{}", base64(&mac(key, &pieces)))
}

fn right() -> String {
    signature(&KEY, ID, &NOW.to_string(), BODY)
}

fn ask(signature: &str) -> Answer {
    let time = NOW.to_string();
    present(&[
        ("webhook-id", ID),
        ("webhook-timestamp", &time),
        ("webhook-signature", signature),
    ])
}

fn present(headers: &[(&str, &str)]) -> Answer {
    ask_at(&Signature::standard_webhooks(SECRET), headers, NOW, BODY)
}

#[test]
fn the_reference_vectors_verify() {
    for (secret, id, time, body, signature) in [
        (
            SECRET,
            ID,
            1_614_265_330,
            BODY,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ] {
        let unprefixed = secret.strip_prefix("whsec_").unwrap();
        for secret in [secret, unprefixed] {
            let headers = [
                ("webhook-id", id),
                ("webhook-timestamp", &time.to_string()),
                ("webhook-signature", signature),
            ];
            let proof = Signature::standard_webhooks(secret);
            assert_eq!(ask_at(&proof, &headers, time, body), accepted());
            let other = ask_at(&proof, &headers, time, "{}");
            assert_eq!(other, ByBody(Mismatch, "signature"));
        }
    }
}

#[test]
fn one_right_signature_among_others_is_enough_wherever_it_stands() {
    let right = right();
    let wrong = signature(b"other", ID, &NOW.to_string(), BODY);
    for value in [
        right.clone(),
        format!("{wrong} {right}"),
        format!("{right} {wrong}"),
        format!("{wrong} {right} {wrong}"),
        format!("v1, v1,=== v1,AAAA x {right}"),
        format!(
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {right}"
        ),
        format!("  {right}  "),
    ] {
        assert_eq!(ask(&value), accepted(), "{value}");
    }
    assert_eq!(
        ask(&format!("{wrong} {wrong}")),
        ByBody(Mismatch, "signature")
    );
}

#[test]
fn what_cannot_be_a_signature_is_refused_by_the_head() {
    let right = right();
    for value in [
        "",
        "v1,",
        &right[3..],
        &right.replace("v1,", "v1="),
        &right.replace("v1,", "V1,"),
        &right.replace("v1,", "v1a,"),
        &right.replace("v1,", "v2,"),
        right.trim_end_matches('='),
        &format!("{right},{right}"),
    ] {
        assert_eq!(ask(value), ByHead(Malformed, "signature"), "{value}");
    }
}

#[test]
fn a_missing_or_repeated_header_is_refused_by_the_head() {
    let (time, right) = (NOW.to_string(), right());
    let all = [
        ("webhook-id", ID),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*right),
    ];
    assert_eq!(present(&all), accepted());
    for (index, part) in ["signed id", "signed timestamp", "signature"]
        .into_iter()
        .enumerate()
    {
        let mut fewer = all.to_vec();
        let one = fewer.remove(index);
        assert_eq!(present(&fewer), ByHead(Missing, part));
        let mut more = all.to_vec();
        more.push(one);
        assert_eq!(present(&more), ByHead(Repeated, part));
        more[3].1 = "";
        assert_eq!(present(&more), ByHead(Repeated, part));
    }
}

#[test]
fn an_id_or_a_time_that_could_end_in_two_places_is_refused_by_the_head() {
    let time = NOW.to_string();
    let with = |id: &str, time: &str| {
        let signature = signature(&KEY, id, time, BODY);
        present(&[
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", &signature),
        ])
    };
    for id in ["a.b", ".", "msg.1735661400", "a."] {
        assert_eq!(with(id, &time), ByHead(Malformed, "signed id"), "{id}");
    }
    assert_eq!(with("", &time), ByHead(Missing, "signed id"));
    for time in ["", "1735661400.5", "-1735661400", "1735661400s"] {
        assert_eq!(with(ID, time), ByHead(Malformed, "signed timestamp"));
    }
    assert_eq!(with("order/7 ä", &time), accepted());
}

#[test]
fn the_tolerance_is_five_minutes_both_ways() {
    let (time, right) = (NOW.to_string(), right());
    let headers = [
        ("webhook-id", ID),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*right),
    ];
    let proof = Signature::standard_webhooks(SECRET);
    let refused = |kind: RefusalKind| ByHead(kind, "signed timestamp");
    assert_eq!(ask_at(&proof, &headers, NOW + 300, BODY), accepted());
    assert_eq!(ask_at(&proof, &headers, NOW - 300, BODY), accepted());
    assert_eq!(ask_at(&proof, &headers, NOW + 301, BODY), refused(Expired));
    assert_eq!(ask_at(&proof, &headers, NOW - 301, BODY), refused(Early));
    assert_eq!(proof.horizon(), Some(Duration::from_secs(600)));
}

#[test]
fn id_and_time_are_signed() {
    let (time, right) = (NOW.to_string(), right());
    let later = (NOW + 1).to_string();
    for (id, time) in [("msg_other", &time), (ID, &later)] {
        let answer = present(&[
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", &right),
        ]);
        assert_eq!(answer, ByBody(Mismatch, "signature"));
    }
}

#[test]
fn a_secret_that_holds_no_key_does_not_stop_the_search_through_the_others() {
    let secrets = [
        Secret::new("no base64!").with_label("broken"),
        Secret::new("whsec_").with_label("empty"),
        Secret::new(SECRET).with_label("right"),
        Secret::new("whsec_???").with_label("broken too"),
    ];
    let time = NOW.to_string();
    let ask = |signature: &str| {
        let headers = [
            ("webhook-id", ID),
            ("webhook-timestamp", &*time),
            ("webhook-signature", signature),
        ];
        let proof = Signature::standard_webhooks(secrets.clone());
        ask_at(&proof, &headers, NOW, BODY)
    };
    assert_eq!(ask(&right()), Accepted(vec!["right".to_owned()]));
    for key in [&b""[..], b"no base64!", b"whsec_", SECRET.as_bytes()] {
        let answer = ask(&signature(key, ID, &time, BODY));
        assert_eq!(answer, ByBody(Mismatch, "signature"));
    }
}
