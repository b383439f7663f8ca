//! The harness tells what a handler did, and what it did wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{panic::AssertUnwindSafe, time::Duration};

use tower_callback::{
    Callbacks, Delivery, GiveUp, HandlerError, MusicVideo, Token,
    store::{
        Queue, State,
        inspect::{Inspect, Listing},
    },
    testing::{Fault, Harness, callback},
};

async fn handle(_: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    Ok(())
}

/// What an assertion says when it fails.
fn complaint(assertion: impl FnOnce()) -> Option<String> {
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(assertion)).err()?;
    Some(*panicked.downcast::<String>().unwrap())
}

#[tokio::test]
async fn an_event_and_its_repeats_are_handled_once() {
    let test = Harness::handle(handle);
    for _ in 0..3 {
        assert_eq!(test.receive(callback("task-1")).await.status(), 200);
    }
    test.settled().await;
    test.assert_handled_once("task-1");
    assert_eq!(test.attempts("task-1"), 1);
    assert_eq!(test.store().recorded().len(), 1, "what the store took");
}

#[tokio::test]
async fn a_failure_and_its_success_are_two_events_each_handled_once() {
    let test = Harness::handle(handle);
    test.receive(callback("task-1").failed(500, "later")).await;
    test.settled().await;
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.assert_handled_once("task-1");
    assert_eq!(test.attempts("task-1"), 2);
}

#[tokio::test]
async fn two_days_of_retries_pass_at_once() {
    let test = Harness::handle(async |_: Delivery<MusicVideo>| Err("never".into()));
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.assert_given_up("task-1");
    assert!(test.clock().elapsed() > Duration::from_secs(47 * 3600));
    let complaint = complaint(|| test.assert_handled_once("task-1")).unwrap();
    assert!(complaint.contains("handled 0 times"), "{complaint}");
}

#[tokio::test]
async fn an_attempt_that_panics_is_followed_by_another() {
    let test = Harness::handle(async |delivery: Delivery<MusicVideo>| {
        assert!(delivery.attempt() > 2, "not yet");
        Ok(())
    });
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.assert_handled_once("task-1");
    assert_eq!(test.attempts("task-1"), 3);
}

#[tokio::test]
async fn what_was_handled_twice_is_told() {
    let test = Harness::handle(handle);
    test.receive(callback("task-1")).await;
    test.settled().await;
    let queue = Queue::events("test");
    let done = test.store().list(&queue, &Listing::of(State::Done)).await;
    let id = done.unwrap().records[0].id;
    test.store().requeue(&queue, &[id]).await.unwrap();
    test.settled().await;
    let complaint = complaint(|| test.assert_handled_once("task-1")).unwrap();
    assert!(complaint.contains("handled 2 times"), "{complaint}");
}

#[tokio::test]
async fn what_never_came_was_not_handled() {
    let test = Harness::handle(handle);
    test.settled().await;
    assert_eq!(test.state("task-1"), None);
    assert!(complaint(|| test.assert_handled_once("task-1")).is_some());
    assert!(complaint(|| test.assert_given_up("task-1")).is_some());
}

#[tokio::test]
async fn who_gives_up_leaves_a_dead_letter() {
    let test = Harness::handle(async |_: Delivery<MusicVideo>| Err(GiveUp::new("no").into()));
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.assert_given_up("task-1");
    assert_eq!(test.attempts("task-1"), 1);
}

#[tokio::test]
async fn an_endpoint_of_ones_own_keeps_its_proof() {
    let secret = "a-secret-of-32-characters-or-so";
    let endpoint = Callbacks::<MusicVideo>::new("videos", Token::query("token", secret));
    let test = Harness::on("videos", endpoint, Handler);
    assert_eq!(test.receive(callback("task-1")).await.status(), 401);
    let proven = callback("task-2").query("token", secret);
    assert_eq!(test.receive(proven).await.status(), 200);
    test.settled().await;
    assert_eq!(test.state("task-1"), None);
    test.assert_handled_once("task-2");
}

#[tokio::test]
async fn a_store_that_fails_is_answered_with_503() {
    let test = Harness::handle(handle);
    test.store().fail(Fault::Unavailable);
    assert_eq!(test.receive(callback("task-1")).await.status(), 503);
    test.store().heal();
    assert_eq!(test.receive(callback("task-1")).await.status(), 200);
    test.settled().await;
    test.assert_handled_once("task-1");
}

#[tokio::test]
async fn a_whole_app_answers_in_process() {
    let test = Harness::handle(handle);
    let app = axum::Router::new().route_service("/videos", test.service().clone());
    assert_eq!(
        callback("task-1")
            .call(app.clone(), "/videos")
            .await
            .status(),
        200
    );
    assert_eq!(
        callback("task-2").call(app, "/elsewhere").await.status(),
        404
    );
    test.settled().await;
    test.assert_handled_once("task-1");
    assert_eq!(test.state("task-2"), None);
}

struct Handler;

impl tower_callback::Handler<MusicVideo> for Handler {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        handle(delivery).await
    }
}
