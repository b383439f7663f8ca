//! The provider's event: what is read, what is refused, and the laws of both.

use std::time::SystemTime;

use http::HeaderMap;
use proptest::prelude::*;
use tower_callback::{
    Callback, Event,
    event::{InvalidKey, ParseError, ParseErrorKind},
    music_video::{Failure, MusicVideo, Outcome},
};

fn parse(body: impl AsRef<[u8]>) -> Result<MusicVideo, ParseError> {
    let headers = HeaderMap::new();
    MusicVideo::parse(&Callback::new(
        body.as_ref(),
        SystemTime::UNIX_EPOCH,
        &headers,
    ))
}

#[track_caller]
fn read(body: impl AsRef<[u8]>) -> MusicVideo {
    parse(body).unwrap()
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>) -> ParseErrorKind {
    parse(body).unwrap_err().kind()
}

#[track_caller]
fn assert_unprocessable(body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    match parse(body) {
        Ok(event) => panic!("{shown} was read as {event:?}"),
        Err(error) => assert_eq!(error.kind(), ParseErrorKind::Unprocessable, "{shown}"),
    }
}

/// A failure with these members beside `code` in the root, and these in `data`.
fn failure(root: &str, data: &str) -> String {
    let root = if root.is_empty() {
        String::new()
    } else {
        format!("{root},")
    };
    format!(r#"{{{root}"code":400,"msg":"m","data":{{{data}}}}}"#)
}

fn success(video_url: &str) -> String {
    format!(r#"{{"code":200,"msg":"m","data":{{"task_id":"t"{video_url}}}}}"#)
}

fn url(event: &MusicVideo) -> &str {
    match &event.outcome {
        Outcome::Succeeded { video_url } => video_url,
        other => panic!("{other:?}"),
    }
}

// What the provider documents.

#[test]
fn the_documented_callbacks_are_read() {
    let event = read(
        r#"{"code":200,"msg":"MP4 generated successfully.","data":{"task_id":"taskId_774b9aa0422f","video_url":"https://example.com/videos/video_847715e66259.mp4"}}"#,
    );
    assert_eq!(event.task_id, "taskId_774b9aa0422f");
    assert_eq!(event.code, 200);
    assert_eq!(event.msg, "MP4 generated successfully.");
    assert_eq!(
        url(&event),
        "https://example.com/videos/video_847715e66259.mp4"
    );

    let event = read(
        r#"{"code":400,"msg":"Music video generation failed","data":{"task_id":"taskId_774b9aa0422f","video_url":null}}"#,
    );
    assert_eq!(event.task_id, "taskId_774b9aa0422f");
    assert_eq!(event.msg, "Music video generation failed");
    assert_eq!(event.outcome, Outcome::Failed(Failure::BadRequest));

    let event = read(
        r#"{"code":500,"msg":"Internal Error - Please try again later","data":{"task_id":"task_id_5bbe7721119d","video_url":null}}"#,
    );
    assert_eq!(event.task_id, "task_id_5bbe7721119d");
    assert_eq!(event.outcome, Outcome::Failed(Failure::ServerError));
}

#[test]
fn a_video_url_that_is_no_url_is_read_as_a_sibling_documents_it() {
    let event = read(
        r#"{"code":200,"msg":"success","data":{"task_id":"task_id_5bbe7721119d","video_url":"video_url_847715e66259"}}"#,
    );
    assert_eq!(url(&event), "video_url_847715e66259");
}

#[test]
fn every_code_has_its_failure() {
    for (code, failure) in [
        (400, Failure::BadRequest),
        (451, Failure::DownloadFailed),
        (500, Failure::ServerError),
        (401, Failure::Other(401)),
        (531, Failure::Other(531)),
        (1, Failure::Other(1)),
        (-7, Failure::Other(-7)),
        (i64::MAX, Failure::Other(i64::MAX)),
        (i64::MIN, Failure::Other(i64::MIN)),
    ] {
        let event = read(format!(r#"{{"code":{code},"data":{{"task_id":"t"}}}}"#));
        assert_eq!(
            (event.code, event.outcome),
            (code, Outcome::Failed(failure))
        );
    }
}

#[test]
fn the_code_alone_decides() {
    let event = read(
        r#"{"code":400,"data":{"callbackType":"complete","task_id":"t","video_url":"https://example.com/v.mp4"}}"#,
    );
    assert_eq!(event.outcome, Outcome::Failed(Failure::BadRequest));
    for video_url in ["7", "[]", r#"{"a":1}"#, r#""\ud800""#] {
        read(failure(
            "",
            &format!(r#""task_id":"t","video_url":{video_url}"#),
        ));
    }
}

#[test]
fn code_0_is_a_success() {
    let event = read(r#"{"code":0,"data":{"task_id":"t","video_url":"u"}}"#);
    assert_eq!((event.code, url(&event)), (0, "u"));
    assert_eq!(event.key().unwrap().rank(), 1);
}

// Tolerances.

#[test]
fn the_id_is_found_in_all_four_places() {
    for body in [
        failure("", r#""task_id":"t""#),
        failure("", r#""taskId":"t""#),
        failure(r#""task_id":"t""#, ""),
        failure(r#""taskId":"t""#, ""),
    ] {
        assert_eq!(read(&body).task_id, "t", "{body}");
    }
    let everywhere = failure(
        r#""task_id":"t","taskId":"\u0074""#,
        r#""task_id":"t","taskId":"t""#,
    );
    assert_eq!(read(everywhere).task_id, "t");
}

#[test]
fn an_id_of_null_is_none() {
    assert_eq!(
        read(failure(
            r#""task_id":null"#,
            r#""taskId":"t","task_id":null"#
        ))
        .task_id,
        "t"
    );
}

#[test]
fn data_may_hold_nothing_when_the_id_stands_beside_it() {
    for data in [
        "null",
        "[]",
        "{}",
        r#"[{"task_id":"other"}]"#,
        r#""""#,
        r#""error""#,
        "false",
        "0",
        "-1",
        "1.5",
        "18446744073709551615",
    ] {
        let event = read(format!(r#"{{"code":500,"task_id":"t","data":{data}}}"#));
        assert_eq!(event, MusicVideo::failed("t", 500, ""), "{data}");
    }
    assert_eq!(
        read(r#"{"code":500,"taskId":"t"}"#),
        MusicVideo::failed("t", 500, "")
    );
}

#[test]
fn a_numeric_string_is_a_code() {
    for code in [r#""451""#, r#""\u003451""#] {
        let event = read(format!(r#"{{"code":{code},"data":{{"task_id":"t"}}}}"#));
        assert_eq!(event.outcome, Outcome::Failed(Failure::DownloadFailed));
    }
    let event = read(r#"{"code":"200","data":{"task_id":"t","video_url":"u"}}"#);
    assert_eq!((event.code, url(&event)), (200, "u"));
}

#[test]
fn any_msg_or_none_is_tolerated() {
    for msg in [
        "null",
        "7",
        "1e999",
        "[]",
        r#"{"a":"b"}"#,
        "true",
        r#""""#,
        // Cut off in the middle of an emoji.
        r#""oh \ud83d""#,
    ] {
        let event = read(format!(r#"{{"code":400,"msg":{msg},"task_id":"t"}}"#));
        assert_eq!(event.msg, "", "{msg}");
    }
    assert_eq!(read(r#"{"code":400,"task_id":"t"}"#).msg, "");
    assert_eq!(
        read(r#"{"code":400,"msg":"\u751f\u6210\u5931\u8d25 \"\ud83c\udfac\"","task_id":"t"}"#).msg,
        "生成失败 \"🎬\""
    );
}

#[test]
fn unknown_members_may_stand_anywhere() {
    let body = r#" { "trace" : {"code":500,"data":{"task_id":"x"}}, "a":1, "a":[1e999,-0.5], "\ud800":"\udfff",
        "data" : { "callbackType":"complete", "Task_Id":"x", "code":400, "video_url":"u", "n":{"task_id":"y"}, "task_id":"t", "n":null },
        "video_url":"elsewhere", "":"", "code" : 200 , "z":false } "#;
    let event = read(body);
    assert_eq!((event.task_id.as_str(), url(&event)), ("t", "u"));
}

#[test]
fn a_byte_order_mark_is_passed_over_once() {
    let body = MusicVideo::failed("t", 400, "m").encode();
    assert_eq!(
        read([b"\xef\xbb\xbf".as_slice(), &body].concat()),
        MusicVideo::failed("t", 400, "m")
    );
    assert_eq!(
        refused([b"\xef\xbb\xbf\xef\xbb\xbf".as_slice(), &body].concat()),
        ParseErrorKind::Syntax
    );
}

#[test]
fn escapes_in_names_and_values_are_the_characters_they_stand_for() {
    let event = read(
        r#"{"c\u006fde":200,"\u0064ata":{"task\u005fid":"t\u002d1\/\u00e4\ud83c\udfac","video_url":"https:\/\/example.com\/v"}}"#,
    );
    assert_eq!(event.task_id, "t-1/ä🎬");
    assert_eq!(url(&event), "https://example.com/v");
    assert_unprocessable(r#"{"code":400,"c\u006fde":500,"task_id":"t"}"#);
}

// Size and depth.

#[test]
fn a_hundred_thousand_levels_are_passed_over_in_every_place() {
    const DEPTH: usize = 100_000;
    let arrays = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let objects = r#"{"data":"#.repeat(DEPTH) + "0" + &"}".repeat(DEPTH);
    for deep in [&arrays, &objects] {
        read(format!(r#"{{"code":400,"task_id":"t","x":{deep}}}"#));
        read(format!(
            r#"{{"code":400,"data":{{"x":{deep},"task_id":"t"}}}}"#
        ));
        read(format!(r#"{{"code":400,"msg":{deep},"task_id":"t"}}"#));
        read(format!(r#"{{"code":400,"task_id":"t","data":{deep}}}"#));
        read(failure("", &format!(r#""task_id":"t","video_url":{deep}"#)));
        assert_unprocessable(success(&format!(r#","video_url":{deep}"#)));
        assert_unprocessable(failure("", &format!(r#""task_id":{deep}"#)));
        assert_unprocessable(format!(r#"{{"code":{deep},"task_id":"t"}}"#));
        assert_unprocessable(deep);
    }
    assert_eq!(refused("[".repeat(DEPTH)), ParseErrorKind::Syntax);
    assert_eq!(
        refused(format!(r#"{{"data":{}"#, "[".repeat(DEPTH))),
        ParseErrorKind::Syntax
    );
}

#[test]
fn a_megabyte_in_one_value_is_read_or_refused_like_any_other() {
    let digits = "7".repeat(1 << 20);
    assert_unprocessable(format!(r#"{{"code":{digits},"task_id":"t"}}"#));
    assert_unprocessable(format!(r#"{{"code":"{digits}","task_id":"t"}}"#));
    assert_unprocessable(failure("", &format!(r#""task_id":{digits}"#)));
    read(failure(&format!(r#""x":{digits}"#), r#""task_id":"t""#));
    read(format!(r#"{{"code":400,"msg":{digits},"task_id":"t"}}"#));

    assert_eq!(
        read(format!(r#"{{"code":400,"msg":"{digits}","task_id":"t"}}"#)).msg,
        digits
    );
    assert_eq!(
        url(&read(success(&format!(r#","video_url":"{digits}""#)))),
        digits
    );
    let long_id = read(failure("", &format!(r#""task_id":"{digits}""#)));
    assert_eq!(long_id.key(), Err(InvalidKey::TooLong));
}

// Refusals.

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

// Key and subject.

#[test]
fn the_key_is_the_task_and_a_success_outranks_a_failure() {
    let failed = MusicVideo::failed("t", 500, "m");
    let succeeded = MusicVideo::succeeded("t", "u");
    assert_eq!(failed.key().unwrap().as_str(), "t");
    assert_eq!(failed.key().unwrap().rank(), 0);
    assert_eq!(succeeded.key().unwrap().as_str(), "t");
    assert_eq!(succeeded.key().unwrap().rank(), 1);
    assert_eq!(succeeded.subject(), Some("t"));
}

#[test]
fn an_overlong_or_controlling_id_is_refused_by_its_key() {
    let event = |id: &str| read(failure("", &format!(r#""task_id":"{id}""#)));
    assert!(event(&"x".repeat(255)).key().is_ok());
    assert_eq!(event(&"x".repeat(256)).key(), Err(InvalidKey::TooLong));
    for control in [r"a\u0000b", r"a\n", r"\u007f", r"\u0085"] {
        assert_eq!(event(control).key(), Err(InvalidKey::ControlCharacter));
    }
}

// Laws.

#[test]
fn a_failure_is_never_made_with_a_code_of_success() {
    for code in [200, 0] {
        let event = MusicVideo::failed("t", code, "m");
        assert_eq!(event.outcome, Outcome::Failed(Failure::ServerError));
        assert_eq!(read(event.encode()), event);
    }
}

#[test]
fn what_is_encoded_is_what_the_provider_would_have_sent() {
    assert_eq!(
        MusicVideo::succeeded("t", "u").encode(),
        r#"{"code":200,"msg":"success","data":{"task_id":"t","video_url":"u"}}"#
    );
    assert_eq!(
        MusicVideo::failed("t", 451, "m").encode(),
        r#"{"code":451,"msg":"m","data":{"task_id":"t","video_url":null}}"#
    );
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 1..24).prop_map(String::from_iter)
}

fn event() -> impl Strategy<Value = MusicVideo> {
    prop_oneof![
        (text(), text()).prop_map(|(id, url)| MusicVideo::succeeded(id, url)),
        (text(), any::<i64>(), text())
            .prop_map(|(id, code, msg)| MusicVideo::failed(id, code, msg)),
        (text(), prop::sample::select(vec![400, 451, 500]), text())
            .prop_map(|(id, code, msg)| MusicVideo::failed(id, code, msg)),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![text(), Just("code".to_owned()), Just("task_id".to_owned())];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((name, inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Unknown members: a name that no reader of callbacks knows, and anything.
fn unknown() -> impl Strategy<Value = Vec<String>> {
    let member = (text(), json())
        .prop_map(|(name, value)| format!("{}:{value}", serde_json::json!(format!("x{name}"))));
    proptest::collection::vec(member, 0..4)
}

/// The members of a callback in any order, among unknown ones.
fn shuffled() -> impl Strategy<Value = (MusicVideo, String)> {
    (event(), unknown(), unknown(), any::<[bool; 2]>())
        .prop_flat_map(|(event, root, data, [id_at_root, camel_case])| {
            let plain: serde_json::Value = serde_json::from_slice(&event.encode()).unwrap();
            let name = if camel_case { "taskId" } else { "task_id" };
            let id = format!(r#""{name}":{}"#, plain["data"]["task_id"]);
            let mut data = data;
            let mut root = root;
            data.push(format!(r#""video_url":{}"#, plain["data"]["video_url"]));
            root.push(format!(r#""code":{}"#, plain["code"]));
            root.push(format!(r#""msg":{}"#, plain["msg"]));
            if id_at_root {
                root.push(id);
            } else {
                data.push(id);
            }
            (Just(event), Just(root), Just(data).prop_shuffle())
        })
        .prop_flat_map(|(event, mut root, data)| {
            root.push(format!(r#""data":{{{}}}"#, data.join(",")));
            (Just(event), Just(root).prop_shuffle())
        })
        .prop_map(|(event, root)| (event, format!("{{{}}}", root.join(" , "))))
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(event in event()) {
        prop_assert_eq!(read(event.encode()), event);
    }

    #[test]
    fn neither_order_nor_unknown_members_change_the_event((event, body) in shuffled()) {
        prop_assert_eq!(read(&body), event, "{}", body);
    }

    #[test]
    fn any_json_is_read_or_unprocessable_and_never_a_syntax_error(value in json()) {
        if let Err(error) = parse(value.to_string()) {
            prop_assert_eq!(error.kind(), ParseErrorKind::Unprocessable, "{}", value);
        }
    }

    #[test]
    fn any_bytes_are_refused_as_not_json_exactly_when_they_are_not(
        start in 0..80_usize,
        patch in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut body = MusicVideo::failed("t", 400, "m").encode().to_vec();
        let start = start.min(body.len());
        let end = (start + patch.len()).min(body.len());
        body.splice(start..end, patch);
        let is_json = serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        match parse(&body) {
            Ok(event) => {
                prop_assert!(is_json);
                prop_assert_eq!(read(event.encode()), event);
            }
            Err(error) => prop_assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json),
        }
    }
}
