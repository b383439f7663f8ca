//! What `generate` and `details` answer.

use http::Method;
use serde_json::{Value, json};
use tower_callback::{
    Clock,
    testing::provider::{SimulatedProvider, SimulatedProviderBuilder, TaskPlan, TimeFormat},
};

use crate::{
    client::{Client, submission},
    seconds,
};

/// Nobody listens there, and nothing is called before its time has come.
const NOBODY: &str = "http://127.0.0.1:9/callback?token=s3cret";

/// A provider whose time stands still.
fn still() -> SimulatedProviderBuilder {
    SimulatedProvider::builder().clock(Clock::manual().clock())
}

#[tokio::test]
async fn each_code_of_the_provider_comes_by_choice_and_does_nothing() {
    const CODES: [i64; 11] = [400, 401, 402, 404, 405, 413, 422, 429, 430, 455, 500];
    let plan = |code| TaskPlan::new().refused(code, 2).details_refused(code, 2);
    let builder = CODES
        .into_iter()
        .fold(still(), |builder, code| builder.task(plan(code)));
    let provider = builder.no_rate_limit().start().await.unwrap();
    let client = Client::of(&provider);
    for (number, code) in CODES.into_iter().enumerate() {
        let audio = format!("audio-{code}");
        for _ in 0..2 {
            let answer = client.submit(&audio, NOBODY).await;
            assert_eq!(
                (&answer["code"], &answer["data"]),
                (&json!(code), &Value::Null)
            );
            assert!(answer["msg"].is_string());
            assert_eq!(
                provider.report().tasks().len(),
                number,
                "nothing was submitted"
            );
        }
        let task = client.task(&audio, NOBODY).await;
        for _ in 0..2 {
            let answer = client.details(&task).await;
            assert_eq!(
                (&answer["code"], &answer["data"]),
                (&json!(code), &Value::Null)
            );
        }
        assert_eq!(
            client.details(&task).await["data"]["successFlag"],
            "PENDING"
        );
    }
    let report = provider.report();
    assert!(
        report
            .tracks()
            .iter()
            .all(|it| it.calls == 3 && it.tasks.len() == 1)
    );
    assert_eq!(report.tasks()[0].details_calls, 3);
    assert_eq!(report.calls().generate, 33);
    assert_eq!(report.calls().details, 33);
}

#[tokio::test]
async fn who_has_not_the_key_gets_401_in_the_body_and_nothing_else() {
    let provider = still().rate_limit(1, seconds(10)).start().await.unwrap();
    let right = Client::of(&provider);
    for key in ["", "other", &format!("{}0", right.key)] {
        let wrong = Client {
            key: key.to_owned(),
            ..right.clone()
        };
        assert_eq!(wrong.submit("audio-1", NOBODY).await["code"], 401);
        assert_eq!(wrong.details("task-1").await["code"], 401);
    }
    let report = provider.report();
    assert!(report.tasks().is_empty() && report.tracks().is_empty());
    assert_eq!(report.calls().unauthorized, 6);
    assert_eq!(
        right.submit("audio-1", NOBODY).await["code"],
        200,
        "nothing was used up"
    );
    let chosen = still().api_key("chosen").start().await.unwrap();
    assert_eq!(Client::of(&chosen).key, "chosen");
}

#[tokio::test]
async fn what_cannot_be_submitted_is_refused_by_what_is_wrong_with_it() {
    let provider = still().start().await.unwrap();
    let client = Client::of(&provider);
    let with = |name: &str, value: Value| {
        let mut submission = submission("audio-1", NOBODY);
        submission[name] = value;
        submission
    };
    let cases = [
        (json!("no object"), 400),
        (with("taskId", json!(7)), 400),
        (with("taskId", Value::Null), 422),
        (with("audioId", json!("")), 422),
        (with("callBackUrl", Value::Null), 422),
        (
            with("callBackUrl", json!("ftp://example.com/?token=s3cret")),
            422,
        ),
        (with("callBackUrl", json!("s3cret")), 422),
        (with("author", json!("é".repeat(51))), 413),
        (with("domainName", json!("d".repeat(51))), 413),
        (with("author", json!("a".repeat(70_000))), 413),
        (with("author", json!("é".repeat(50))), 200),
    ];
    for (submission, code) in cases {
        let answer = client.try_generate(&submission).await.unwrap();
        assert_eq!(answer["code"], code, "{submission} {answer}");
        assert!(!answer.to_string().contains("s3cret"));
    }
    assert_eq!(provider.report().tasks().len(), 1);
    assert_eq!(client.details("").await["code"], 422);
    for (method, path) in [
        (Method::GET, "/api/v1/mp4/generate"),
        (Method::POST, "/api/v1/mp4/record-info?taskId=task-1"),
        (Method::GET, "/"),
    ] {
        let got = client.send(method, path, &[], String::new()).await.unwrap();
        let answer: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(
            (got.head.status.as_u16(), &answer["code"]),
            (200, &json!(404))
        );
    }
}

#[tokio::test]
async fn a_track_that_is_submitted_again_gets_409_with_its_task_and_is_paid_once() {
    let provider = still().start().await.unwrap();
    let client = Client::of(&provider);
    let task = client.task("audio-1", NOBODY).await;
    for _ in 0..2 {
        let answer = client.submit("audio-1", NOBODY).await;
        assert_eq!(
            (&answer["code"], &answer["data"]),
            (&json!(409), &json!({ "taskId": task }))
        );
    }
    assert_ne!(
        client.task("audio-2", NOBODY).await,
        task,
        "another track is another task"
    );
    let report = provider.report();
    assert_eq!(report.paid_twice().count(), 0);
    let track = &report.tracks()[0];
    assert_eq!(
        (&*track.music_task_id, &*track.audio_id),
        ("music-1", "audio-1")
    );
    assert_eq!((track.calls, track.tasks.len()), (3, 1));
}

#[tokio::test]
async fn where_repeats_are_accepted_a_double_submission_shows_as_paid_twice() {
    let provider = still().accept_repeats().start().await.unwrap();
    let client = Client::of(&provider);
    let first = client.task("audio-1", NOBODY).await;
    let second = client.task("audio-1", NOBODY).await;
    client.task("audio-2", NOBODY).await;
    assert_ne!(first, second);
    let report = provider.report();
    let twice: Vec<_> = report.paid_twice().collect();
    assert_eq!(twice.len(), 1);
    let tasks: Vec<_> = twice[0].tasks.iter().map(|it| &**it).collect();
    assert_eq!(tasks, [first, second]);
}

#[tokio::test]
async fn no_more_than_20_calls_in_10_s_are_let_through_and_the_rest_are_counted() {
    let hands = Clock::manual();
    let provider = SimulatedProvider::builder()
        .clock(hands.clock())
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    for number in 0..10 {
        client.task(&format!("audio-{number}"), NOBODY).await;
        client.details("unknown").await;
    }
    for _ in 0..3 {
        assert_eq!(client.submit("audio-over", NOBODY).await["code"], 429);
        assert_eq!(client.details("unknown").await["code"], 429);
    }
    assert_eq!(provider.report().calls().over_limit, 6);
    assert_eq!(
        provider.report().tasks().len(),
        10,
        "a call over the limit does nothing"
    );
    hands.advance(seconds(10));
    for _ in 0..20 {
        assert_eq!(client.details("unknown").await["code"], 200);
    }
    assert_eq!(client.details("unknown").await["code"], 429);
}

#[tokio::test]
async fn an_unknown_task_has_no_data_under_the_code_that_was_chosen() {
    for (builder, code) in [(still(), 200), (still().unknown_code(422), 422)] {
        let provider = builder.start().await.unwrap();
        let answer = Client::of(&provider).details("unknown").await;
        assert_eq!(
            (&answer["code"], &answer["data"]),
            (&json!(code), &Value::Null)
        );
    }
}

#[tokio::test]
async fn times_are_numbers_or_text_and_mean_the_same() {
    for (format, is_text) in [(TimeFormat::Millis, false), (TimeFormat::Text, true)] {
        let provider = still().times(format).start().await.unwrap();
        let client = Client::of(&provider);
        let task = client.task("audio-1", NOBODY).await;
        let created = client.details(&task).await["data"]["createTime"].clone();
        match created.as_str() {
            Some(text) => {
                assert!(is_text);
                assert_eq!(text.len(), "2025-01-01 00:10:00".len());
            }
            None => assert!(created.is_u64() && !is_text),
        }
    }
}

#[tokio::test]
async fn plans_go_by_what_is_submitted_before_they_go_by_order() {
    let provider = still()
        .plan_with(|submitted| {
            assert_eq!((submitted.task_id, submitted.repeat), ("music-1", 0));
            let is_it = submitted.audio_id == "audio-b" && submitted.number == 1;
            is_it.then(|| TaskPlan::new().video_bytes(1000).refused(402, 1))
        })
        .task(TaskPlan::new().refused(430, 1))
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let mut codes = Vec::new();
    for audio in ["audio-a", "audio-b", "audio-a", "audio-b", "audio-c"] {
        codes.push(client.submit(audio, NOBODY).await["code"].as_i64().unwrap());
    }
    assert_eq!(codes, [430, 402, 200, 200, 200]);
}

#[tokio::test]
async fn neither_the_key_nor_a_callback_url_is_printed() {
    let provider = still().api_key("s3cret").start().await.unwrap();
    Client::of(&provider).task("audio-1", NOBODY).await;
    let report = provider.report();
    let builder = still().api_key("s3cret");
    let printed = format!("{provider:?} {report:?} {report} {builder:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
}
