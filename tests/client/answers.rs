//! What the provider documents, and what was seen of it, is read as what it says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::json;
use tower_callback::music_video::{
    ClientError, ClientErrorKind, Details, Failure, GenerateRequest, MusicVideo, Outcome,
    ProviderTime, Status,
};

use crate::{
    CALLBACK, KEY, PENDING, TAKEN, builder, never, request,
    server::{Reply, Server},
};

async fn generated(body: &'static str) -> Result<(String, bool), ClientError> {
    let server = Server::always(200, body).await;
    let client = builder(&server.base).with_retries(never()).build().unwrap();
    let generated = client.generate(&request(), CALLBACK).await?;
    Ok((generated.task_id, generated.existing))
}

/// The answer about `task-1`.
async fn asked(status: u16, body: impl Into<String>) -> Result<Option<Details>, ClientError> {
    let body = body.into();
    let server = Server::start(move |_, _| Reply::new(status, body.clone())).await;
    let client = builder(&server.base).with_retries(never()).build().unwrap();
    client.details("task-1").await
}

async fn details(data: serde_json::Value) -> Details {
    let body = json!({"code": 200, "msg": "success", "data": data}).to_string();
    asked(200, body).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_submission_is_sent_as_the_provider_documents_it() {
    let server = Server::always(200, TAKEN).await;
    let client = builder(&format!("{}/prefix/", server.base))
        .build()
        .unwrap();
    let full = GenerateRequest::new("taskId_774b9aa0422f", "e231cadc7dc")
        .with_author("Suno Artist")
        .with_domain_name("music.example.com");
    client.generate(&full, CALLBACK).await.unwrap();
    client.generate(&request(), CALLBACK).await.unwrap();
    let [full, bare] = &server.seen()[..] else {
        panic!("two submissions")
    };
    assert_eq!(full.method, Method::POST);
    assert_eq!(full.target, "/prefix/api/v1/mp4/generate");
    assert_eq!(full.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(full.headers["content-type"], "application/json");
    assert_eq!(full.headers["content-length"], full.body.len().to_string());
    let sent = |body| serde_json::from_slice::<serde_json::Value>(body).unwrap();
    let expected = json!({
        "taskId": "taskId_774b9aa0422f",
        "audioId": "e231cadc7dc",
        "callBackUrl": CALLBACK,
        "author": "Suno Artist",
        "domainName": "music.example.com",
    });
    assert_eq!(sent(&full.body), expected);
    let expected = json!({"taskId": "music-1", "audioId": "audio-1", "callBackUrl": CALLBACK});
    assert_eq!(sent(&bare.body), expected);
}

#[tokio::test]
async fn a_question_about_a_task_is_sent_with_its_id_escaped() {
    let server = Server::always(200, r#"{"code":200,"data":null}"#).await;
    let client = builder(&server.base).build().unwrap();
    client.details("a&b=c/ü").await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.method, Method::GET);
    assert_eq!(
        seen.target,
        "/api/v1/mp4/record-info?taskId=a%26b%3Dc%2F%C3%BC"
    );
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn the_id_of_a_submission_is_found_wherever_siblings_put_it() {
    for body in [
        r#"{"code":200,"msg":"success","data":{"taskId":"t"}}"#,
        r#"{"code":200,"msg":"success","data":{"task_id":"t","more":[1]}}"#,
        r#"{"code":"200","data":{"taskId":"t","task_id":"t"}}"#,
        r#"{"taskId":"t","data":null,"msg":null,"code":0}"#,
    ] {
        assert_eq!(generated(body).await.unwrap(), ("t".to_owned(), false));
    }
}

#[tokio::test]
async fn a_409_yields_the_task_that_is_there_already() {
    let body = r#"{"code":409,"msg":"exists","data":{"taskId":"t"}}"#;
    assert_eq!(generated(body).await.unwrap(), ("t".to_owned(), true));
    let nameless = generated(r#"{"code":409,"msg":"exists","data":null}"#).await;
    let nameless = nameless.unwrap_err();
    assert_eq!(nameless.kind(), ClientErrorKind::Conflict);
    assert!(nameless.may_have_been_submitted());
    assert!(!nameless.is_retryable());
}

#[tokio::test]
async fn a_success_without_an_id_that_can_be_kept_may_have_been_submitted() {
    for body in [
        r#"{"code":200,"msg":"success","data":null}"#.to_owned(),
        r#"{"code":200,"data":{"taskId":""}}"#.to_owned(),
        r#"{"code":200,"data":{"taskId":"a"},"taskId":"b"}"#.to_owned(),
        r#"{"code":200,"data":{"taskId":"a\nb"}}"#.to_owned(),
        format!(
            r#"{{"code":200,"data":{{"taskId":"{}"}}}}"#,
            "x".repeat(256)
        ),
    ] {
        // Whatever the status says beside it.
        for status in [200, 401, 500] {
            let body = body.clone();
            let server = Server::start(move |_, _| Reply::new(status, body.clone())).await;
            let client = builder(&server.base).build().unwrap();
            let error = client.generate(&request(), CALLBACK).await.unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::Unreadable);
            assert_eq!((error.code(), error.status()), (Some(200), Some(status)));
            assert!(error.may_have_been_submitted());
            assert_eq!(server.seen().len(), 1);
        }
    }
}

#[tokio::test]
async fn the_documented_details_are_read_to_the_last_member() {
    let body = r#"{"code":200,"msg":"success","data":{"taskId":"task-1","musicId":"audioId_0295980ec02e","callbackUrl":"https://api.example.com/callback","audioId":"e231cadc7dc","completeTime":1735661400000,"response":{"videoUrl":"https://example.com/videos/video_847715e66259.mp4"},"successFlag":"SUCCESS","createTime":1735661400000,"errorCode":null,"errorMessage":null}}"#;
    let details = asked(200, body).await.unwrap().unwrap();
    let url = "https://example.com/videos/video_847715e66259.mp4";
    let time = ProviderTime::Exact(UNIX_EPOCH + Duration::from_secs(1_735_661_400));
    assert_eq!(details.task_id, "task-1");
    assert_eq!(details.status, Status::Success);
    assert_eq!(details.video_url.as_deref(), Some(url));
    assert_eq!((details.error_code, &details.error_message), (None, &None));
    assert_eq!(details.audio_id.as_deref(), Some("e231cadc7dc"));
    assert_eq!(details.music_id.as_deref(), Some("audioId_0295980ec02e"));
    assert_eq!(details.created.as_ref(), Some(&time));
    assert_eq!(details.completed.as_ref(), Some(&time));
    assert_eq!(details.event(), Some(MusicVideo::succeeded("task-1", url)));
}

#[tokio::test]
async fn every_flag_with_and_without_a_url_is_the_event_that_its_callback_would_have_been() {
    let url = "https://example.com/v.mp4";
    let success = || Some(MusicVideo::succeeded("task-1", url));
    let failure = || Some(MusicVideo::failed("task-1", 451, "no audio"));
    for (flag, status, with_url, without) in [
        ("PENDING", Status::Pending, None, None),
        ("SUCCESS", Status::Success, success(), None),
        (
            "CALLBACK_EXCEPTION",
            Status::CallbackException,
            success(),
            None,
        ),
        (
            "CREATE_TASK_FAILED",
            Status::CreateTaskFailed,
            failure(),
            failure(),
        ),
        (
            "GENERATE_MP4_FAILED",
            Status::GenerateFailed,
            failure(),
            failure(),
        ),
        ("success", Status::Other("success".to_owned()), None, None),
        ("", Status::Other(String::new()), None, None),
        (
            "NEW_\u{fc}",
            Status::Other("NEW_\u{fc}".to_owned()),
            None,
            None,
        ),
    ] {
        for (response, expected) in [
            (json!({"videoUrl": url}), &with_url),
            (json!({"video_url": url, "videoUrl": null}), &with_url),
            (json!({"videoUrl": ""}), &without),
            (json!({"videoUrl": 7}), &without),
            (json!({}), &without),
            (json!([]), &without),
            (json!(null), &without),
        ] {
            let details = details(json!({
                "taskId": "task-1",
                "successFlag": flag,
                "response": response,
                "errorCode": "451",
                "errorMessage": "no audio",
                "new": {"members": [1]},
            }))
            .await;
            assert_eq!(details.status, status);
            assert_eq!(&details.event(), expected, "{flag} with {response}");
        }
    }
}

#[tokio::test]
async fn a_failure_without_a_code_that_can_tell_of_it_is_500() {
    for (code, expected) in [
        (json!(null), Failure::ServerError),
        (json!(200), Failure::ServerError),
        (json!(0), Failure::ServerError),
        (json!("E_AUDIO"), Failure::ServerError),
        (json!(1.5), Failure::ServerError),
        (json!(400), Failure::BadRequest),
        (json!("531"), Failure::Other(531)),
    ] {
        let data = json!({"successFlag": "GENERATE_MP4_FAILED", "errorCode": code});
        let event = details(data).await.event().unwrap();
        assert_eq!(event.outcome, Outcome::Failed(expected));
        assert_eq!(
            (event.task_id, event.msg),
            ("task-1".to_owned(), String::new())
        );
    }
}

#[tokio::test]
async fn a_flag_that_is_a_number_is_kept_and_one_that_is_missing_is_no_answer() {
    let flagged = details(json!({"successFlag": 1})).await;
    assert_eq!(flagged.status, Status::Other("1".to_owned()));
    for data in [
        json!({}),
        json!({"successFlag": null}),
        json!("x"),
        json!(7),
    ] {
        let body = json!({"code": 200, "data": data}).to_string();
        let error = asked(200, body).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Unreadable);
        assert!(!error.may_have_been_submitted());
    }
}

#[tokio::test]
async fn both_ways_to_write_a_time_are_read_and_no_zone_is_guessed() {
    let exact = |millis| {
        Some(ProviderTime::Exact(
            UNIX_EPOCH + Duration::from_millis(millis),
        ))
    };
    let local = |text: &str| Some(ProviderTime::Local(text.to_owned()));
    for (time, expected) in [
        (json!(1_735_661_400_123_u64), exact(1_735_661_400_123)),
        (json!("1735661400123"), exact(1_735_661_400_123)),
        (json!(0), exact(0)),
        (json!("2025-01-01 00:10:00"), local("2025-01-01 00:10:00")),
        (json!("2025-01-01T00:10:00"), local("2025-01-01T00:10:00")),
        (
            json!("2025-01-01T00:10:00.5"),
            local("2025-01-01T00:10:00.5"),
        ),
        (json!("2025-01-01T00:10:00Z"), exact(1_735_690_200_000)),
        (json!("2025-02-30 00:10:00"), None),
        (json!("yesterday"), None),
        (json!(""), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!(u64::MAX), None),
        (json!(i64::MAX), {
            let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(i64::MAX as u64));
            end.map(ProviderTime::Exact)
        }),
        (json!(null), None),
        (json!({}), None),
    ] {
        let data = json!({"successFlag": "PENDING", "createTime": time, "completeTime": null});
        let details = details(data).await;
        assert_eq!(details.created, expected, "{time}");
        assert_eq!(details.completed, None);
    }
}

#[tokio::test]
async fn an_unknown_task_is_none_however_the_provider_says_so() {
    for (status, body) in [
        (
            200,
            r#"{"code":422,"msg":"Record does not exist","data":null}"#,
        ),
        (200, r#"{"code":200,"msg":"success","data":null}"#),
        (200, r#"{"code":200,"msg":"success"}"#),
        (200, r#"{"code":0,"data":[ ]}"#),
        (200, r#"{"code":404,"msg":"not found"}"#),
        (404, r#"{"code":"404","msg":"not found","data":null}"#),
    ] {
        assert_eq!(asked(status, body).await.unwrap(), None, "{body}");
    }
}

#[tokio::test]
async fn what_only_looks_like_an_unknown_task_is_an_error() {
    for (status, body, kind) in [
        (404, "<html>", ClientErrorKind::NotFound),
        (
            404,
            r#"{"status":404,"error":"Not Found"}"#,
            ClientErrorKind::NotFound,
        ),
        (422, "", ClientErrorKind::InvalidRequest),
        (
            200,
            r#"{"code":422,"data":{"taskId":"task-1"}}"#,
            ClientErrorKind::InvalidRequest,
        ),
        (
            200,
            r#"{"code":400,"data":null}"#,
            ClientErrorKind::InvalidRequest,
        ),
        (200, "null", ClientErrorKind::Unreadable),
        (200, "", ClientErrorKind::Unreadable),
    ] {
        assert_eq!(
            asked(status, body).await.unwrap_err().kind(),
            kind,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_answer_about_another_task_is_not_taken_for_the_one_that_was_asked_for() {
    for body in [
        PENDING.replace("task-1", "task-2"),
        PENDING.replace(r#""code""#, r#""task_id":"task-2","code""#),
        PENDING.replace(r#""taskId":"task-1""#, r#""taskId":7"#),
        PENDING.replace(r#""successFlag""#, r#""taskId":"task-2","successFlag""#),
    ] {
        let error = asked(200, body.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Unreadable, "{body}");
    }
    for body in [
        PENDING.replace("taskId", "task_id"),
        PENDING.replace(r#""taskId":"task-1""#, r#""taskId":null"#),
        PENDING.replace(r#""taskId":"task-1","#, ""),
    ] {
        let details = asked(200, body.clone()).await.unwrap().unwrap();
        assert_eq!(details.task_id, "task-1", "{body}");
    }
}
