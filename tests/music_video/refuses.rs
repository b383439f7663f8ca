//! What is no callback of ours.

use tower_callback::event::ParseErrorKind;

use super::{assert_unprocessable, failure, parse, success};

#[test]
fn what_is_not_json_is_a_syntax_error_whatever_else_is_wrong() {
    let good = r#"{"code":400,"task_id":"t"}"#;
    let mut cases: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"code=400&task_id=t".to_vec(),
        b"{'code':400}".to_vec(),
        b"{\"code\":400,\"task_id\":\"t\",}".to_vec(),
        b"{\"code\":0400,\"task_id\":\"t\"}".to_vec(),
        b"{\"code\":400,\"task_id\":\"a\nb\"}".to_vec(),
        b"{\"code\":400,\"task_id\":\"\\x\"}".to_vec(),
        b"{\"code\":NaN,\"task_id\":\"t\"}".to_vec(),
        b"{\"code\":400,\"task_id\":\"t\",\"x\":\"\xff\"}".to_vec(),
        b"{\"code\":400,\"task_id\":\"\xed\xa0\x80\"}".to_vec(),
        // Unprocessable at first sight, and then it turns out not to be JSON.
        b"{\"code\":400,\"code\":400,\"task_id\":\"t\"".to_vec(),
        b"{\"code\":400,\"task_id\":7}]".to_vec(),
        b"{\"task_id\":\"t\",\"data\":1e999".to_vec(),
        b"7 8".to_vec(),
        format!("{good}{good}").into_bytes(),
        format!("{good}\0").into_bytes(),
    ];
    cases.extend((1..good.len()).map(|end| good.as_bytes()[..end].to_vec()));
    for body in cases {
        let shown = String::from_utf8_lossy(&body);
        match parse(&body) {
            Ok(event) => panic!("{shown:?} was read as {event:?}"),
            Err(error) => assert_eq!(error.kind(), ParseErrorKind::Syntax, "{shown:?}"),
        }
    }
}

#[test]
fn json_that_is_no_object_is_unprocessable() {
    for body in [
        "null",
        "[]",
        "7",
        "1e999",
        "true",
        r#""text""#,
        "{}",
        r#"[{"code":400}]"#,
    ] {
        assert_unprocessable(body);
    }
}

#[test]
fn ids_that_differ_are_unprocessable() {
    let places = |a: &str, b: &str| {
        [
            failure(&format!(r#""task_id":{a},"taskId":{b}"#), ""),
            failure(&format!(r#""task_id":{a}"#), &format!(r#""task_id":{b}"#)),
            failure(&format!(r#""taskId":{a}"#), &format!(r#""task_id":{b}"#)),
            failure("", &format!(r#""task_id":{a},"taskId":{b}"#)),
        ]
    };
    for (a, b) in [
        (r#""a""#, r#""b""#),
        (r#""a""#, r#""A""#),
        (r#""a""#, r#""""#),
        (r#""""#, r#""a""#),
        (r#""a""#, "7"),
        ("7", r#""a""#),
    ] {
        for body in places(a, b) {
            assert_unprocessable(body);
        }
    }
}

#[test]
fn an_id_that_is_missing_empty_or_no_text_is_unprocessable() {
    assert_unprocessable(failure("", ""));
    assert_unprocessable(r#"{"code":400,"msg":"m","data":null}"#);
    for id in [
        "null",
        r#""""#,
        "7",
        "true",
        "[]",
        "{}",
        r#"["t"]"#,
        r#""\ud800""#,
    ] {
        assert_unprocessable(failure("", &format!(r#""task_id":{id}"#)));
        assert_unprocessable(failure(&format!(r#""taskId":{id}"#), ""));
    }
}

#[test]
fn a_code_that_is_no_integer_is_unprocessable() {
    for code in [
        "null",
        "true",
        "200.0",
        "2e2",
        "1e999",
        "9223372036854775808",
        "-9223372036854775809",
        "[]",
        "[200]",
        "{}",
        r#""""#,
        r#"" ""#,
        r#"" 200""#,
        r#""200.0""#,
        r#""ok""#,
        r#""٢٠٠""#,
        r#""\ud800""#,
    ] {
        assert_unprocessable(format!(
            r#"{{"code":{code},"data":{{"task_id":"t","video_url":"u"}}}}"#
        ));
    }
    assert_unprocessable(r#"{"data":{"task_id":"t","video_url":"u","code":200}}"#);
}

#[test]
fn a_success_without_a_url_is_unprocessable() {
    for video_url in [
        "",
        r#","video_url":null"#,
        r#","video_url":"""#,
        r#","video_url":7"#,
        r#","video_url":["u"]"#,
        r#","video_url":"\ud800""#,
        r#","videoUrls":"u""#,
    ] {
        assert_unprocessable(success(video_url));
    }
    assert_unprocessable(r#"{"code":200,"task_id":"t","video_url":"beside"}"#);
    assert_unprocessable(r#"{"code":0,"task_id":"t","data":null}"#);
}

#[test]
fn a_member_that_is_read_and_given_twice_is_unprocessable_even_with_equal_values() {
    for body in [
        r#"{"code":400,"code":400,"task_id":"t"}"#,
        r#"{"code":400,"task_id":"t","code":null}"#,
        r#"{"code":400,"msg":"a","task_id":"t","msg":"a"}"#,
        r#"{"code":400,"task_id":"t","task_id":"t"}"#,
        r#"{"code":400,"task_id":null,"task_id":"t"}"#,
        r#"{"code":400,"taskId":"t","taskId":"t"}"#,
        r#"{"code":400,"data":{"task_id":"t"},"data":{"task_id":"t"}}"#,
        r#"{"code":400,"data":null,"data":{"task_id":"t"}}"#,
        r#"{"code":400,"data":{"task_id":"t","task_id":"t"}}"#,
        r#"{"code":400,"data":{"taskId":"t","taskId":null}}"#,
        r#"{"code":200,"data":{"task_id":"t","video_url":"u","video_url":"u"}}"#,
        r#"{"code":400,"data":{"task_id":"t","video_url":null,"video_url":null}}"#,
    ] {
        assert_unprocessable(body);
    }
}

#[test]
fn the_error_says_what_is_wrong_without_a_word_of_the_body() {
    for body in [
        r#""hunter2""#,
        r#"{"code":"hunter2","task_id":"hunter2"}"#,
        r#"{"code":400,"task_id":"hunter2","taskId":"hunter22"}"#,
        r#"{"code":400,"hunter2":hunter2}"#,
    ] {
        let error = parse(body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
