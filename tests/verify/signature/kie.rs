//! kie.ai: the task's id and the time are signed, and the body is not.

use std::time::Duration;

use tower_callback::{
    Token,
    music_video::KieSignature,
    verify::{
        Presented, RefusalKind,
        RefusalKind::{Early, Expired, Malformed, Mismatch, Missing, Repeated},
        Secret, Verdict, Verify,
    },
};

use super::{Accepted, Answer, ByBody, ByHead, NOW, accepted, ask_at, at, base64, head, mac};

const KEY: &str = "test-hmac-key";
const ID: &str = "taskId_774b9aa0422f";
const BODY: &str = r#"{"code":200,"msg":"MP4 generated successfully.","data":{"task_id":"taskId_774b9aa0422f","video_url":"https://example.com/videos/video_847715e66259.mp4"}}"#;
/// The provider's worked example, signed at [`NOW`].
const RIGHT: &str = "2hP/abk6znJc7LJqDQ7BcuJFaTLRKFgZ+06Ccco9pW0=";

fn signature(key: &str, id: &str, time: &str) -> String {
    base64(&mac(key, &[id.as_bytes(), b".", time.as_bytes()]))
}

fn ask(signature: &str, time: &str, body: &str) -> Answer {
    present(
        &[
            ("x-webhook-signature", signature),
            ("x-webhook-timestamp", time),
        ],
        body,
    )
}

fn present(headers: &[(&str, &str)], body: &str) -> Answer {
    ask_at(&KieSignature::new(KEY), headers, NOW, body)
}

#[test]
fn the_worked_example_verifies() {
    assert_eq!(ask(RIGHT, "1735661400", BODY), accepted());
    assert_eq!(
        ask(RIGHT, "1735661401", BODY),
        ByBody(Mismatch, "signature")
    );
}

#[test]
fn the_id_that_was_signed_is_the_subject() {
    let head = head(&[
        ("x-webhook-signature", RIGHT.as_bytes()),
        ("x-webhook-timestamp", b"1735661400"),
    ]);
    let presented = Presented::new(&head, at(NOW)).with_body(BODY.as_bytes());
    match KieSignature::new(KEY).verify(&presented) {
        Verdict::Accept(verified) => assert_eq!(verified.subject(), Some(ID)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_id_is_found_wherever_the_event_finds_it() {
    let time = NOW.to_string();
    for (id, body) in [
        (ID, format!(r#"{{"code":400,"data":{{"taskId":"{ID}"}}}}"#)),
        (
            ID,
            format!(r#"{{"code":400,"data":null,"task_id":"{ID}"}}"#),
        ),
        (ID, format!(r#"{{"taskId":"{ID}","code":400,"data":[]}}"#)),
        (
            ID,
            format!("\u{feff}{{\"task_id\":\"{ID}\",\"data\":{{\"taskId\":\"{ID}\"}}}}"),
        ),
        ("a.b", r#"{"task_id":"\u0061.b"}"#.to_owned()),
        (
            "ä\n",
            r#"{"data":{"task_id":"ä\n","task_id2":"x"}}"#.to_owned(),
        ),
    ] {
        let right = signature(KEY, id, &time);
        assert_eq!(ask(&right, &time, &body), accepted(), "{body}");
    }
}

#[test]
fn a_body_that_is_no_event_but_for_its_id_is_proven_and_can_be_kept() {
    for body in [
        format!(r#"{{"code":200,"data":{{"task_id":"{ID}"}}}}"#),
        format!(r#"{{"code":"soon","data":{{"task_id":"{ID}"}}}}"#),
        format!(r#"{{"code":200,"code":400,"data":{{"task_id":"{ID}"}}}}"#),
        format!(r#"{{"task_id":"{ID}"}}"#),
    ] {
        assert_eq!(ask(RIGHT, "1735661400", &body), accepted(), "{body}");
    }
}

#[test]
fn a_body_in_which_two_readers_could_find_two_ids_is_refused() {
    for body in [
        "",
        "not json",
        "[]",
        r#"{"code":200}"#,
        r#"{"task_id":""}"#,
        r#"{"task_id":7}"#,
        r#"{"data":[{"task_id":"taskId_774b9aa0422f"}]}"#,
        r#"{"task_id":"taskId_774b9aa0422f","data":{"task_id":"other"}}"#,
        r#"{"task_id":"other","taskId":"taskId_774b9aa0422f"}"#,
        r#"{"task_id":"taskId_774b9aa0422f","task_id":"taskId_774b9aa0422f"}"#,
        r#"{"data":{"task_id":"other","\u0074ask_id":"taskId_774b9aa0422f"}}"#,
        r#"{"data":{"task_id":"taskId_774b9aa0422f"},"data":{"task_id":"other"}}"#,
        r#"{"data":{"task_id":"other"},"data":{"task_id":"taskId_774b9aa0422f"}}"#,
        r#"{"task_id":"taskId_774b9aa0422f"} {"task_id":"other"}"#,
    ] {
        let answer = ask(RIGHT, "1735661400", body);
        assert_eq!(answer, ByBody(Malformed, "signed id"), "{body}");
    }
}

#[test]
fn the_signature_of_one_task_is_none_for_another() {
    let other = BODY.replace(ID, "taskId_other");
    assert_eq!(
        ask(RIGHT, "1735661400", &other),
        ByBody(Mismatch, "signature")
    );
    // `taskId_7` and `1.1735661400`, signed as `taskId_7.1` and `1735661400`.
    let moved = signature(KEY, "taskId_7.1", "1735661400");
    let body = r#"{"task_id":"taskId_7"}"#;
    assert_eq!(
        ask(&moved, "1.1735661400", body),
        ByHead(Malformed, "signed timestamp")
    );
}

#[test]
fn the_weakness_is_real_the_body_is_not_signed() {
    let forged = BODY.replace("https://example.com", "https://evil.example");
    assert_eq!(ask(RIGHT, "1735661400", &forged), accepted());
    // Hence the token beside it.
    let token = "a-token-of-32-characters-or-more";
    let proof = KieSignature::new(KEY).and(Token::bearer(token));
    let headers = [
        ("x-webhook-signature", RIGHT),
        ("x-webhook-timestamp", "1735661400"),
    ];
    assert_eq!(
        ask_at(&proof, &headers, NOW, &forged),
        ByHead(Missing, "token")
    );
}

#[test]
fn what_cannot_be_right_is_refused_by_the_head() {
    let time = NOW.to_string();
    for malformed in [
        "",
        "2hP/abk6znJc7LJqDQ7BcuJFaTLRKFgZ+06Ccco9pW0",
        "2hP_abk6znJc7LJqDQ7BcuJFaTLRKFgZ-06Ccco9pW0=",
        "v1,2hP/abk6znJc7LJqDQ7BcuJFaTLRKFgZ+06Ccco9pW0=",
        "da13ff69b93ace725cecb26a0d0ec172e24569",
    ] {
        let answer = ask(malformed, &time, BODY);
        assert_eq!(answer, ByHead(Malformed, "signature"), "{malformed}");
    }
    for malformed in ["", "now", "1735661400.0", "1735661400000000000000"] {
        let answer = ask(RIGHT, malformed, BODY);
        assert_eq!(answer, ByHead(Malformed, "signed timestamp"), "{malformed}");
    }
    let all = [
        ("x-webhook-signature", RIGHT),
        ("x-webhook-timestamp", &*time),
    ];
    for (index, part) in ["signature", "signed timestamp"].into_iter().enumerate() {
        let others: Vec<_> = all.into_iter().filter(|one| *one != all[index]).collect();
        assert_eq!(present(&others, BODY), ByHead(Missing, part));
        let twice = [&all[..], &[all[index]]].concat();
        assert_eq!(present(&twice, BODY), ByHead(Repeated, part));
    }
}

#[test]
fn a_signature_lasts_until_the_providers_last_retry_and_can_last_otherwise() {
    let headers = [
        ("x-webhook-signature", RIGHT),
        ("x-webhook-timestamp", "1735661400"),
    ];
    let minute = Duration::from_secs(60);
    let last_retry = (1 + 5 + 15) * 60;
    let proof = KieSignature::new(KEY);
    assert_eq!(ask_at(&proof, &headers, NOW + last_retry, BODY), accepted());
    for (proof, age) in [
        (KieSignature::new(KEY), 30 * minute),
        (KieSignature::new(KEY).max_age(5 * minute), 5 * minute),
    ] {
        let arrives = |time| ask_at(&proof, &headers, time, BODY);
        let refused = |kind: RefusalKind| ByHead(kind, "signed timestamp");
        let age = age.as_secs();
        assert_eq!(arrives(NOW + age), accepted());
        assert_eq!(arrives(NOW + age + 1), refused(Expired));
        assert_eq!(arrives(NOW - 300), accepted());
        assert_eq!(arrives(NOW - 301), refused(Early));
        assert_eq!(proof.horizon(), Some(Duration::from_secs(age + 300)));
    }
}

#[test]
fn any_of_several_keys_is_enough() {
    let proof = KieSignature::new([
        Secret::new("").with_label("empty"),
        Secret::new("another-key").with_label("new"),
        Secret::new(KEY).with_label("old").with_until(at(NOW + 10)),
    ]);
    let ask = |key, arrived| {
        let right = signature(key, ID, "1735661400");
        let headers = [
            ("x-webhook-signature", &*right),
            ("x-webhook-timestamp", "1735661400"),
        ];
        ask_at(&proof, &headers, arrived, BODY)
    };
    assert_eq!(ask("another-key", NOW), Accepted(vec!["new".to_owned()]));
    assert_eq!(ask(KEY, NOW), Accepted(vec!["old".to_owned()]));
    assert_eq!(ask(KEY, NOW + 10), ByBody(Expired, "signature"));
    assert_eq!(ask("", NOW), ByBody(Mismatch, "signature"));
}
