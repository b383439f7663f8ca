//! What is read, and what is kept because it cannot be read.

use std::sync::Arc;

use http::Request;
use tokio::{sync::Barrier, task::JoinSet};
use tower::ServiceExt;
use tower_callback::{
    Callback, Callbacks, Event, EventKey, MemoryStore, Token,
    event::{InvalidKey, ParseError},
    store::{Queue, Store},
    testing::Recording,
};

use crate::{
    NAME, rig, rig_of,
    support::{SECRET, SUCCESS, post, request, success, url},
};

/// The answer to a body, and how many events and quarantined callbacks there are afterwards.
async fn outcome(body: impl AsRef<[u8]>) -> (u16, u64, u64) {
    let rig = rig().await;
    let status = rig.send(body).await;
    (status, rig.pending().await, rig.quarantined().await)
}

const RECEIVED: (u16, u64, u64) = (200, 1, 0);
const NOT_JSON: (u16, u64, u64) = (400, 0, 1);
const UNPROCESSABLE: (u16, u64, u64) = (422, 0, 1);

#[tokio::test]
async fn what_the_family_sends_is_received() {
    for body in [
        r#"{"code":200,"msg":"success","data":{"task_id":"t","video_url":"video_url_847715e66259"}}"#,
        r#"{"code":400,"msg":"Music video generation failed","data":{"task_id":"t","video_url":null}}"#,
        r#"{"code":451,"data":{"taskId":"t"}}"#,
        r#"{"task_id":"t","code":500,"msg":null,"data":null}"#,
        r#"{"data":[],"taskId":"t","code":"531"}"#,
        r#"{"code":0,"data":{"task_id":"t","video_url":"u","new":[{"x":1}]},"extra":{}}"#,
        r#"{"code":-1,"data":{"task_id":"t"}}"#,
        r#"{"code":99999999999,"data":{"task_id":"t"}}"#,
        r#"{"callbackType":"complete","code":400,"data":{"task_id":"t"}}"#,
    ] {
        assert_eq!(outcome(body).await, RECEIVED, "{body}");
    }
}

#[tokio::test]
async fn what_is_not_json_is_400_and_kept() {
    for body in [
        &b""[..],
        b"{",
        b"hello",
        b"{}{}",
        b"\xff\xfe",
        br#"{"code":200,"msg":"\xff","data":{}}"#,
        b"{\"code\":200,\"msg\":\"\xff\xff\",\"data\":{\"task_id\":\"t\",\"video_url\":\"u\"}}",
    ] {
        assert_eq!(outcome(body).await, NOT_JSON, "{}", body.escape_ascii());
    }
}

#[tokio::test]
async fn json_that_is_not_this_event_is_422_and_kept() {
    let overlong = success(&"x".repeat(256));
    let number = format!(
        r#"{{"code":{},"data":{{"task_id":"t"}}}}"#,
        "9".repeat(1 << 20)
    );
    for body in [
        "null",
        "[]",
        "{}",
        r#"{"code":200,"data":{"video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":"","video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":7,"video_url":"u"}}"#,
        r#"{"code":200,"task_id":"a","data":{"task_id":"b","video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":"a","taskId":"b","video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":"a\nb","video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":"a","task_id":"a","video_url":"u"}}"#,
        r#"{"code":200,"code":400,"data":{"task_id":"a","video_url":"u"}}"#,
        r#"{"code":200,"data":{"task_id":"a","video_url":"u"},"data":{"task_id":"b"}}"#,
        r#"{"code":200,"data":{"task_id":"a","video_url":null}}"#,
        r#"{"code":200,"data":{"task_id":"a","video_url":""}}"#,
        r#"{"code":200,"data":{"task_id":"a"}}"#,
        r#"{"code":"many","data":{"task_id":"a"}}"#,
        r#"{"code":null,"data":{"task_id":"a"}}"#,
        r#"{"code":200.5,"data":{"task_id":"a"}}"#,
        r#"{"code":99999999999999999999,"data":{"task_id":"a"}}"#,
        r#"{"data":{"task_id":"a"}}"#,
        &overlong,
        &number,
    ] {
        let short = &body[..body.len().min(80)];
        assert_eq!(outcome(body).await, UNPROCESSABLE, "{short}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_levels_break_nothing() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let unknown = format!(r#"{{"x":{deep},"code":500,"data":{{"task_id":"t"}}}}"#);
    assert_eq!(outcome(unknown).await, RECEIVED, "where nobody reads");
    let code = format!(r#"{{"code":{deep},"data":{{"task_id":"t"}}}}"#);
    assert_eq!(outcome(code).await, UNPROCESSABLE);
    assert_eq!(outcome(&deep).await.2, 1, "kept, whatever it is");
}

#[tokio::test]
async fn a_megabyte_of_text_is_received() {
    let body = SUCCESS.replace("MP4 generated", &"x".repeat(1 << 20));
    assert_eq!(outcome(body).await, RECEIVED);
}

#[tokio::test]
async fn the_same_unreadable_callback_is_kept_once() {
    let rig = rig().await;
    assert_eq!(rig.send("{}").await, 422);
    assert_eq!(rig.send("{}").await, 422);
    assert_eq!(rig.send("[]").await, 422);
    assert_eq!(rig.quarantined().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repeats_and_concurrent_repeats_are_received_and_stored_once() {
    const SENDERS: usize = 32;
    let rig = rig().await;
    let addr = rig.server.addr;
    let barrier = Arc::new(Barrier::new(SENDERS));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let barrier = Arc::clone(&barrier);
        senders.spawn(async move {
            barrier.wait().await;
            post(addr, &url(), SUCCESS).await.status
        });
    }
    while let Some(status) = senders.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(rig.pending().await, 1);
    let pretty = SUCCESS.replace(',', ", ");
    assert_eq!(rig.send(pretty).await, 200, "other bytes, same event");
    assert_eq!(rig.pending().await, 1);
    assert_eq!(
        rig.stored("task-1").await.unwrap(),
        SUCCESS,
        "the first one"
    );
}

#[tokio::test]
async fn what_is_kept_in_quarantine_is_whole() {
    let rig = rig().await;
    let body = b"\xff not json \x00".as_slice();
    assert_eq!(rig.send(body).await, 400);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(body);
    let queue = Queue::quarantine(NAME);
    let found = rig.store.find(&queue, &digest).await.unwrap().unwrap();
    assert_eq!(found.body.unwrap(), body);
    let meta = String::from_utf8(found.meta.unwrap().to_vec()).unwrap();
    assert!(
        meta.contains("application/json"),
        "the header of interest: {meta}"
    );
}

/// An event whose id stands in a header.
struct Headed;

impl Event for Headed {
    const HEADERS: &'static [&'static str] = &["webhook-id"];

    fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
        Err(ParseError::unprocessable("of a newer version"))
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new("headed")
    }
}

#[tokio::test]
async fn unreadable_callbacks_that_differ_in_a_header_of_the_event_are_all_kept() {
    let rig = rig_of::<Headed>(Token::query("token", SECRET), |b| b).await;
    for id in ["a", "b", "b"] {
        let headers = [("webhook-id", id)];
        let answer = request(rig.server.addr, "POST", &url(), &headers, "{}").await;
        assert_eq!(answer.status, 422);
    }
    assert_eq!(rig.quarantined().await, 2);
}

#[tokio::test]
async fn what_is_kept_beside_a_callback_is_bounded_as_it_is_stored() {
    let store = Recording::new(MemoryStore::new());
    let service = Callbacks::<Headed>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .build_front()
        .unwrap();
    let send = async |quotes| {
        let mut request = Request::post(url()).header("webhook-id", "\"".repeat(quotes));
        for _ in 0..20 {
            request = request.header("content-type", "x".repeat(1000));
        }
        let request = request.body("{}".to_owned()).unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    // With the header's name and what is around it, 8 KiB to the byte.
    assert_eq!(send(4087).await, 422);
    let meta = store.recorded()[0].meta.clone();
    assert!((8000..=16 * 1024).contains(&meta.len()), "{}", meta.len());
    assert_eq!(send(4088).await, 413, "each quote is stored as two bytes");
    assert_eq!(store.recorded().len(), 1);
}
