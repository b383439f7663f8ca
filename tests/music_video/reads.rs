//! What the provider documents, and the tolerances.

use tower_callback::{
    Event,
    event::{InvalidKey, ParseErrorKind},
    music_video::{Failure, MusicVideo, Outcome},
};

use super::{assert_unprocessable, failure, read, refused, success, url};

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
    assert_eq!(read(event.encode()).code, 0, "also when it was written");
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
        "1e999",
        r#""\ud83d""#,
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
