//! The harness tells what a handler did, and what it did wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{panic::AssertUnwindSafe, time::Duration};

use tower_callback::{
    Callbacks, Delivery, GiveUp, HandlerError, IpAllowlist, MemoryStore, MusicVideo, Token,
    store::{
        Queue, State,
        inspect::{Inspect, Listing},
    },
    testing::{Fault, Harness, Recording, callback},
    verify::PeerAddr,
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
    assert_eq!(test.state("task-1").await, None);
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
    assert_eq!(test.state("task-1").await, None);
    test.assert_handled_once("task-2");
}

#[tokio::test]
async fn a_proof_in_the_path_is_given_with_it() {
    let secret = "a-secret-of-32-characters-or-so";
    let endpoint = Callbacks::<MusicVideo>::new("videos", Token::segment(secret));
    let test = Harness::on("videos", endpoint, Handler);
    let guessed = test.receive_at("/videos/guessed", callback("task-1")).await;
    assert_eq!(guessed.status(), 401);
    let url = format!("https://example.com/videos/{secret}");
    let good = test.receive_at(&url, callback("task-1")).await;
    assert_eq!(good.status(), 200);
    test.settled().await;
    test.assert_handled_once("task-1");
}

#[tokio::test]
async fn a_peer_is_an_extension() {
    let here = IpAllowlist::new(["127.0.0.1"], PeerAddr::of);
    let test = Harness::on(
        "videos",
        Callbacks::<MusicVideo>::new("videos", here),
        Handler,
    );
    let from = |ip: &str| PeerAddr(format!("{ip}:4711").parse().unwrap());
    let there = callback("task-1").extension(from("192.0.2.1"));
    assert_eq!(test.receive(there).await.status(), 401);
    let here = callback("task-1").extension(from("127.0.0.1"));
    assert_eq!(test.receive(here).await.status(), 200);
}

#[tokio::test]
async fn a_store_of_ones_own_keeps_what_comes_on_its_own_clock() {
    let store = Recording::new(MemoryStore::new());
    let test =
        Harness::with_store(
            store.clone(),
            async |delivery: Delivery<MusicVideo>| match delivery.attempt() {
                1 => Err("not yet".into()),
                _ => Ok(()),
            },
        );
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.assert_handled_once("task-1");
    assert_eq!(test.attempts("task-1"), 2);
    assert_eq!(store.recorded().len(), 1);
}

#[tokio::test]
async fn nothing_is_asserted_of_what_is_not_settled() {
    let test = Harness::handle(handle);
    test.receive(callback("task-1")).await;
    test.settled().await;
    test.receive(callback("task-2")).await;
    assert!(complaint(|| test.assert_handled_once("task-1")).is_some());
    test.settled().await;
    test.assert_handled_once("task-1");
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
    assert_eq!(test.state("task-2").await, None);
}

struct Handler;

impl tower_callback::Handler<MusicVideo> for Handler {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        handle(delivery).await
    }
}
