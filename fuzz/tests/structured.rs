//! The laws of a request for requests that are put together, not mutated: every proof with every setting
//! and every fault.

use proptest::{collection::vec, prelude::*, sample::select};

fn settings() -> impl Strategy<Value = String> {
    // The letters of each setting, in their order. See `request::case`.
    let last = "zbbbbbhbbcc";
    let letters: Vec<_> = last.bytes().map(|last| b'a'..=last).collect();
    letters.prop_map(|letters| letters.into_iter().map(char::from).collect())
}

fn line() -> impl Strategy<Value = String> {
    let method = prop_oneof![8 => Just("POST"), 1 => select(vec!["GET", "PUT", "OPTIONS", "X"])];
    let path = select(vec![
        "/cb",
        "/cb/",
        "/cb/first",
        "/cb/second/",
        "/cb/{mint}",
        "/cb/third",
        "/other",
    ]);
    let query = select(vec![
        "",
        "?token=first",
        "?token=second",
        "?token=third",
        "?token=first&token=first",
        "?cap={mint}",
        "?cap={mint}x",
        "?cap={mint}&token=first",
    ]);
    (method, path, query).prop_map(|(method, path, query)| format!("{method} {path}{query}\n"))
}

fn headers() -> impl Strategy<Value = String> {
    let header = select(vec![
        "x-token: first",
        "x-token: third",
        "authorization: Bearer second",
        "authorization: Basic second",
        "x-length: 51",
        "x-length: 35",
        "x-subject: t",
        "x-subject: other",
        "x-hub-signature-256: sha256={sign}",
        "x-hub-signature-256: sha1=00",
        "x-peer: 10.0.0.1",
        "x-peer: 203.0.113.9",
        "x-panic: head",
        "x-panic: body",
        "x-id: 7",
        "content-type: application/json",
        "content-type: text/plain",
        "content-encoding: gzip",
        "content-length: 51",
        "content-length: 9999999",
    ]);
    vec(header, 0..6).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let text = select(vec![
        r#"{"code":200,"data":{"task_id":"t","video_url":"u"}}"#,
        r#"{"code":400,"data":{"task_id":"t"}}"#,
        r#"{"code":200,"data":{"task_id":"t"}}"#,
        r#"{"code":200"#,
        "panic",
        "",
    ]);
    // What happens between two chunks: trailers, a pause, silence, an error, nothing.
    let happens = select(vec![0xf9, 0xfa, 0xfa, 0xfb, 0xfc, 0xfd]);
    let events = vec((any::<prop::sample::Index>(), happens), 0..4);
    (text, 0..200_usize, any::<bool>(), events).prop_map(|(text, more, padded, events)| {
        let mut body = text.as_bytes().to_vec();
        if padded {
            body.resize(body.len() + more, b' ');
        }
        for (place, byte) in events {
            body.insert(place.index(body.len() + 1), byte);
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_request_gets_the_one_reply_that_it_asks_for(
        settings in settings(),
        line in line(),
        headers in headers(),
        body in body(),
    ) {
        let head = format!("{settings}\n{line}{headers}\n");
        tower_callback_fuzz::request(&[head.as_bytes(), &body].concat());
    }
}
