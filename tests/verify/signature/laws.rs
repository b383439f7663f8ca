//! What holds for every signature.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, request};
use proptest::prelude::*;
use tower_callback::{
    music_video::KieSignature,
    verify::{Encoding, Presented, Secret, Setup, Signature, Verdict, Verify},
};

use super::{NOW, at, base64, head, hex, mac};

/// The ways of signing, each with its verifier and its signer.
#[derive(Clone, Copy, Debug)]
enum Way {
    Github,
    Stripe,
    StandardWebhooks,
    /// Everything that can be signed, with nothing in common with the presets.
    Whole,
    Kie,
}

fn ways() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![
        Way::Github,
        Way::Stripe,
        Way::StandardWebhooks,
        Way::Whole,
        Way::Kie,
    ])
}

#[derive(Clone, Debug)]
struct Signed {
    way: Way,
    key: Vec<u8>,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Signed {
    fn new(way: Way, key: Vec<u8>, id: &str, time: u64, body: Vec<u8>) -> Self {
        let time = time.to_string().into_bytes();
        let id = id.as_bytes();
        let mut body = body;
        let headers = match way {
            Way::Github => {
                let signature = format!("sha256={}", hex(&mac(&key, &[&body])));
                vec![("x-hub-signature-256", signature.into_bytes())]
            }
            Way::Stripe => {
                let signature = hex(&mac(&key, &[&time, b".", &body]));
                let value = [b"t=", &time[..], b",v1=", signature.as_bytes()].concat();
                vec![("stripe-signature", value)]
            }
            Way::StandardWebhooks => {
                let signature = base64(&mac(&key, &[id, b".", &time, b".", &body]));
                vec![
                    ("webhook-id", id.to_vec()),
                    ("webhook-timestamp", time),
                    ("webhook-signature", format!("v1,{signature}").into_bytes()),
                ]
            }
            Way::Whole => {
                let signature = hex(&mac(&key, &[b"c:", id, b":", &time, b":", &body]));
                vec![
                    ("x-id", id.to_vec()),
                    ("x-time", time),
                    ("x-signature", signature.to_uppercase().into_bytes()),
                ]
            }
            Way::Kie => {
                body = serde_json::json!({ "task_id": String::from_utf8_lossy(id) })
                    .to_string()
                    .into_bytes();
                let signature = base64(&mac(&key, &[id, b".", &time]));
                vec![
                    ("x-webhook-signature", signature.into_bytes()),
                    ("x-webhook-timestamp", time),
                ]
            }
        };
        Self {
            way,
            key,
            headers,
            body,
        }
    }

    fn proof(&self) -> Box<dyn Verify> {
        let secret = Secret::from_bytes(&self.key);
        match self.way {
            Way::Github => Box::new(Signature::github(secret)),
            Way::Stripe => Box::new(Signature::stripe(secret)),
            Way::StandardWebhooks => {
                let secret = format!("whsec_{}", base64(&self.key));
                Box::new(Signature::standard_webhooks(secret))
            }
            Way::Whole => Box::new(
                Signature::hmac_sha256("x-signature", secret)
                    .encoding(Encoding::UpperHex)
                    .signed_prefix("c")
                    .separator(":")
                    .id_header("x-id")
                    .timestamp_header("x-time"),
            ),
            Way::Kie => Box::new(KieSignature::new(secret)),
        }
    }

    fn head(&self) -> request::Parts {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        head(&headers)
    }

    fn is_accepted(&self) -> bool {
        is_accepted(&*self.proof(), &self.head(), &self.body)
    }

    /// With other headers, as far as they are some.
    fn is_accepted_with(&self, headers: &[(&str, Vec<u8>)]) -> bool {
        let mut head = head(&[]);
        for (name, value) in headers {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value),
            ) else {
                return false;
            };
            head.headers.append(name, value);
        }
        is_accepted(&*self.proof(), &head, &self.body)
    }
}

/// As the front asks.
fn is_accepted(proof: &dyn Verify, head: &request::Parts, body: &[u8]) -> bool {
    let presented = Presented::new(head, at(NOW));
    matches!(proof.verify(&presented), Verdict::NeedsBody)
        && matches!(proof.verify(&presented.with_body(body)), Verdict::Accept(_))
}

prop_compose! {
    fn signed()(
        way in ways(),
        key in prop::collection::vec(any::<u8>(), 1..100),
        id in "[a-zA-Z0-9_/-]{1,40}",
        time in NOW - 300..=NOW + 300,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) -> Signed {
        Signed::new(way, key, &id, time, body)
    }
}

/// The bytes that stand in a header where the server reads them.
fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\t'), 0x20..0x7f_u8, 0x80..=0xff_u8];
    let noise = prop::collection::vec(byte, 0..120);
    let nearly = (
        prop::sample::select(vec!["sha256=", "t=1735661400,v1=", "v1,", "v1, v1,", ""]),
        "[0-9a-f]{62,66}|[0-9a-zA-Z+/]{43}=|[0-9]{1,25}",
    )
        .prop_map(|(prefix, rest)| format!("{prefix}{rest}").into_bytes());
    prop_oneof![noise, nearly]
}

/// Failures with ids in any of their places, now and then in one place twice.
fn bodies_with_ids() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        6 => Just(r#""a""#),
        3 => Just(r#""b""#),
        2 => Just("null"),
        1 => prop::sample::select(vec![r#""""#, "7", "[]"]),
    ];
    let name = prop::sample::select(vec!["task_id", "taskId", r"\u0074ask_id", "x", "y", "z"]);
    let member = (name, value).prop_map(|(name, value)| format!(r#""{name}":{value}"#));
    let members = prop::collection::vec(member, 0..3).prop_map(|members| members.join(","));
    let repeat = prop_oneof![9 => Just(1_usize), 1 => Just(2)];
    (members.clone(), members, repeat).prop_map(|(root, data, repeat)| {
        let data = format!(r#","data":{{{data}}}"#).repeat(repeat);
        let comma = if root.is_empty() { "" } else { "," };
        format!(r#"{{{root}{comma}"code":400{data}}}"#)
    })
}

proptest! {
    #[test]
    fn the_id_that_kie_signed_is_the_id_of_the_event_and_of_no_other(body in bodies_with_ids()) {
        use tower_callback::{Callback, Event, MusicVideo};
        let time = NOW.to_string();
        let signature = base64(&mac("key", &[b"a.", time.as_bytes()]));
        let head = head(&[
            ("x-webhook-signature", signature.as_bytes()),
            ("x-webhook-timestamp", time.as_bytes()),
        ]);
        let accepted = is_accepted(&KieSignature::new("key"), &head, body.as_bytes());
        let headers = http::HeaderMap::new();
        if let Ok(event) = MusicVideo::parse(&Callback::new(body.as_bytes(), at(NOW), &headers)) {
            prop_assert_eq!(accepted, event.task_id == "a", "{}", body);
        }
    }

    #[test]
    fn what_is_signed_verifies(signed in signed()) {
        prop_assert!(signed.is_accepted());
    }

    #[test]
    fn another_key_does_not(signed in signed(), bit in any::<prop::sample::Index>()) {
        let mut other = signed;
        flip(&mut other.key, bit);
        prop_assert!(!other.is_accepted());
    }

    #[test]
    fn no_bit_of_the_body_can_be_flipped(signed in signed(), bit in any::<prop::sample::Index>()) {
        prop_assume!(!signed.body.is_empty());
        let mut other = signed;
        flip(&mut other.body, bit);
        prop_assert!(!other.is_accepted());
    }

    #[test]
    fn no_byte_can_be_put_into_the_body_or_taken_out(
        signed in signed(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        // kie.ai signs the id in the body and nothing else of it.
        prop_assume!(!matches!(signed.way, Way::Kie));
        let mut longer = signed.clone();
        longer.body.insert(at.index(signed.body.len() + 1), byte);
        prop_assert!(!longer.is_accepted());
        if !signed.body.is_empty() {
            let mut shorter = signed.clone();
            shorter.body.remove(at.index(signed.body.len()));
            prop_assert!(!shorter.is_accepted());
        }
    }

    #[test]
    fn no_bit_of_a_header_can_be_flipped(
        signed in signed(),
        header in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let mut headers = signed.headers.clone();
        flip(&mut headers[header.index(signed.headers.len())].1, bit);
        prop_assert!(!signed.is_accepted_with(&headers), "{:?}", headers);
    }

    #[test]
    fn no_byte_can_be_put_into_a_header_or_taken_out(
        signed in signed(),
        header in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in 0x21..0x7f_u8,
    ) {
        let header = header.index(signed.headers.len());
        let value = &signed.headers[header].1;
        let mut headers = signed.headers.clone();
        // A list may have an empty item; nothing else may be added anywhere.
        let place = at.index(value.len() + 1);
        let ends_an_item = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b',');
        let before = place.checked_sub(1).and_then(|before| value.get(before));
        let is_empty_item = byte == b',' && (ends_an_item(before) || ends_an_item(value.get(place)));
        if !is_empty_item {
            headers[header].1.insert(place, byte);
            prop_assert!(!signed.is_accepted_with(&headers), "{:?}", headers);
        }
        let mut headers = signed.headers.clone();
        headers[header].1.remove(at.index(value.len()));
        prop_assert!(!signed.is_accepted_with(&headers), "{:?}", headers);
    }

    #[test]
    fn no_header_can_be_left_out_renamed_or_repeated(
        signed in signed(),
        header in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let at = header.index(signed.headers.len());
        let mut headers = signed.headers.clone();
        let (name, value) = headers.remove(at);
        prop_assert!(!signed.is_accepted_with(&headers));

        let mut renamed = name.to_owned().into_bytes();
        flip(&mut renamed, bit);
        if let Ok(renamed) = String::from_utf8(renamed)
            && !renamed.eq_ignore_ascii_case(name)
        {
            let renamed = [&headers[..], &[(&*renamed, value.clone())]].concat();
            prop_assert!(!signed.is_accepted_with(&renamed));
        }

        let twice = [&headers[..], &[(name, value.clone()), (name, value)]].concat();
        prop_assert!(!signed.is_accepted_with(&twice));
    }

    #[test]
    fn with_settings_that_are_good_no_byte_moves_between_time_and_body(
        separator in "[0-9a.:]{0,2}",
        body in "[0-9a.:]{0,8}",
    ) {
        let proof = Signature::hmac_sha256("x-signature", "key")
            .timestamp_header("x-time")
            .separator(&*separator)
            .tolerance(Duration::from_secs(1_000_000_000_000));
        if proof.check(&Setup::leaf("e")).is_err() {
            return Ok(());
        }
        let text = format!("{NOW}{separator}{body}");
        let signature = hex(&mac("key", &[text.as_bytes()]));
        let mut accepted = Vec::new();
        for end in 0..=text.len() {
            let (time, rest) = text.split_at(end);
            let Some(body) = rest.strip_prefix(&*separator) else {
                continue;
            };
            let headers = [("x-signature", &*signature), ("x-time", time)];
            let headers = headers.map(|(name, value)| (name, value.as_bytes()));
            let head = head(&headers);
            let presented = Presented::new(&head, at(NOW));
            if let Verdict::Accept(_) = proof.verify(&presented.with_body(body.as_bytes())) {
                accepted.push((time.to_owned(), body.to_owned()));
            }
        }
        prop_assert_eq!(accepted, [(NOW.to_string(), body)]);
    }

    #[test]
    fn nothing_that_is_presented_makes_a_proof_panic_or_accept(
        signed in signed(),
        values in prop::collection::vec(header_value(), 3),
        body in prop::collection::vec(any::<u8>(), 0..200),
        arrived in any::<u64>(),
        before_epoch in any::<bool>(),
    ) {
        let headers: Vec<_> = signed
            .headers
            .iter()
            .zip(values)
            .map(|((name, _), value)| (*name, value))
            .collect();
        let mut head = signed.head();
        head.headers.clear();
        for (name, value) in &headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                head.headers.append(*name, value);
            }
        }
        let since = Duration::from_millis(arrived);
        let arrived = if before_epoch {
            UNIX_EPOCH.checked_sub(since)
        } else {
            UNIX_EPOCH.checked_add(since)
        };
        for arrived in [arrived.unwrap_or(UNIX_EPOCH), at(NOW)] {
            let presented = Presented::new(&head, arrived);
            let proof = signed.proof();
            prop_assert!(!matches!(proof.verify(&presented), Verdict::Accept(_)));
            let with_body = proof.verify(&presented.with_body(&body));
            prop_assert!(matches!(with_body, Verdict::Refuse(_)));
        }
    }

    #[test]
    fn no_settings_make_a_proof_panic(
        [header, id, time] in any::<[String; 3]>(),
        [prefix, listed, constant, separator] in any::<[String; 4]>(),
        list in any::<Option<char>>(),
        secret in any::<Vec<u8>>(),
        tolerance in any::<Duration>(),
        value in header_value(),
        switches in any::<[bool; 5]>(),
    ) {
        let mut proof = Signature::hmac_sha256(header, Secret::from_bytes(secret))
            .prefix(prefix)
            .separator(separator);
        let [with_id, with_time, with_listed, with_base64, with_constant] = switches;
        if with_id {
            proof = proof.id_header(id);
        }
        if with_time {
            proof = proof.timestamp_header(time).tolerance(tolerance);
        }
        if let Some(list) = list {
            proof = proof.list(list);
        }
        if with_listed {
            proof = proof.timestamp_in_list(listed);
        }
        if with_base64 {
            proof = proof.base64_secrets();
        }
        if with_constant {
            proof = proof.signed_prefix(constant);
        }
        let _ = proof.check(&tower_callback::verify::Setup::leaf("e"));
        let _ = proof.horizon();
        let head = head(&[("x-signature", &value)]);
        let presented = Presented::new(&head, at(NOW));
        let _ = proof.verify(&presented);
        let _ = proof.verify(&presented.with_body(&value));
    }
}

fn flip(bytes: &mut [u8], bit: prop::sample::Index) {
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}
