//! Stores and functions that fail: the caller is told to come again, and nothing is lost.

use std::time::Duration;

use http::Request;
use tower::{Service, ServiceExt};
use tower_callback::{
    CallbackService, Callbacks, Clock, Disposition, MemoryStore, MusicVideo, Token,
    testing::{Fault, Recording},
};

use crate::{
    NAME, Never, poll_once, serve_hyper,
    support::{Client, SECRET, SUCCESS, post, success, url},
};

fn endpoint(ack_deadline: Duration) -> (CallbackService, Recording<MemoryStore>) {
    let store = Recording::new(MemoryStore::new());
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store.clone())
        .ack_deadline(ack_deadline)
        .build_front()
        .unwrap();
    (service, store)
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_store_that_fails_is_503_with_retry_after_and_the_retry_is_received() {
    for fault in [
        Fault::Unavailable,
        Fault::Rejected,
        Fault::Full,
        Fault::Busy,
        Fault::Panic,
    ] {
        let (service, store) = endpoint(LONG);
        let server = serve_hyper(service).await;
        store.fail(fault);
        let answer = post(server.addr, &url(), SUCCESS).await;
        assert_eq!(answer.status, 503, "{fault:?}");
        assert_eq!(answer.headers["retry-after"], "60");
        assert_eq!(answer.body, r#"{"error":"unavailable"}"#);
        assert!(store.recorded().is_empty());
        store.heal();
        assert_eq!(
            post(server.addr, &url(), SUCCESS).await.status,
            200,
            "{fault:?}"
        );
        assert_eq!(store.recorded().len(), 1);
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_503_by_the_ack_deadline() {
    let (service, store) = endpoint(Duration::from_millis(100));
    let server = serve_hyper(service).await;
    store.fail(Fault::Hang);
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 503);
    store.heal();
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 200);
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_before_the_deadline_so_that_it_is_blamed() {
    let hands = Clock::manual();
    let store = Recording::new(MemoryStore::with_clock(&hands));
    store.fail(Fault::Hang);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store)
        .clock(hands.clock())
        .ack_deadline(LONG)
        .build_front()
        .unwrap();
    let request = Request::post(url()).body(SUCCESS.to_owned()).unwrap();
    let mut answer = Box::pin(service.oneshot(request));
    assert!(poll_once(&mut answer).await.is_none(), "it waits");
    let left = LONG / 10;
    hands.advance(LONG - left);
    assert!(poll_once(&mut answer).await.is_none(), "and for long");
    hands.advance(left - Duration::from_millis(1));
    let response = poll_once(&mut answer).await.expect("it is answered");
    assert_eq!(
        response.unwrap().extensions().get(),
        Some(&Disposition::StoreFailed)
    );
}

#[tokio::test]
async fn an_insert_whose_answer_was_lost_is_received_at_the_retry_and_stored_once() {
    let (service, store) = endpoint(LONG);
    let server = serve_hyper(service).await;
    store.fail_next(1, Fault::LostAnswer);
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 503);
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 200);
    assert_eq!(store.recorded().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_and_cannot_be_kept_is_503() {
    let (service, store) = endpoint(LONG);
    let server = serve_hyper(service).await;
    store.fail(Fault::Unavailable);
    assert_eq!(post(server.addr, &url(), "{").await.status, 503);
    store.heal();
    assert_eq!(post(server.addr, &url(), "{").await.status, 400);
    assert_eq!(store.recorded().len(), 1);
}

#[tokio::test]
async fn a_full_store_still_knows_its_duplicates() {
    let store = MemoryStore::new().with_capacity(1);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store)
        .build_front()
        .unwrap();
    let server = serve_hyper(service).await;
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 200);
    assert_eq!(
        post(server.addr, &url(), success("task-2")).await.status,
        503
    );
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 200);
    let unreadable = post(server.addr, &url(), "{").await;
    assert_eq!(unreadable.status, 400, "quarantine has room of its own");
}

#[tokio::test]
async fn the_ack_deadline_counts_the_body_too() {
    let (service, _store) = endpoint(Duration::from_millis(100));
    let server = serve_hyper(service).await;
    let mut client = Client::connect(server.addr).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n",
        url()
    );
    client.write(head).await;
    assert_eq!(client.answer().await.unwrap().status, 503);
}

#[tokio::test]
async fn the_ack_deadline_counts_from_the_head_and_not_from_the_first_poll() {
    let hands = Clock::manual();
    let mut service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(MemoryStore::with_clock(&hands))
        .clock(hands.clock())
        .ack_deadline(LONG)
        .build_front()
        .unwrap();
    let mut answer = service.call(Request::post(url()).body(Never).unwrap());
    hands.advance(LONG);
    let answer = poll_once(&mut answer).await.expect("the time is up");
    assert_eq!(answer.unwrap().status(), 503);
}

#[tokio::test]
async fn a_function_that_accepts_is_answered_200_only_after_ok() {
    let upserted = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .accept({
            let upserted = upserted.clone();
            move |event| {
                let upserted = upserted.clone();
                async move {
                    if event.task_id == "task-2" {
                        Err("the database is gone")?;
                    }
                    upserted.lock().unwrap().push(event.task_id);
                    Ok(())
                }
            }
        })
        .unwrap();
    let server = serve_hyper(service).await;
    assert_eq!(post(server.addr, &url(), SUCCESS).await.status, 200);
    assert_eq!(
        post(server.addr, &url(), success("task-2")).await.status,
        503
    );
    assert_eq!(post(server.addr, &url(), "{").await.status, 400);
    assert_eq!(post(server.addr, &url(), "{}").await.status, 422);
    assert_eq!(*upserted.lock().unwrap(), ["task-1"]);
}
