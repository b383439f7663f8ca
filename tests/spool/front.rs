//! An endpoint in front of it all.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;
use tower_callback::{CallbackService, Callbacks, Clock, MusicVideo, Token, testing::Fault};

use crate::{
    engine::{Rig, quick},
    trials,
};

trials! {
    every_callback_of_an_outage_is_answered_with_200_and_stored_once,
    callbacks_that_come_while_a_batch_hangs_are_answered_in_time,
}

async fn every_callback_of_an_outage_is_answered_with_200_and_stored_once() {
    let mut rig = Rig::new().await;
    let service = service(&rig);
    let _forwarding = rig.forward();
    for phase in ["before", "outage", "after"] {
        match phase {
            "outage" => rig.engine.store.fail(Fault::Unavailable),
            _ => rig.engine.store.heal(),
        }
        let calls = (0..30).map(|n| call(&service, format!("{phase} {}", n % 20)));
        for status in join(calls).await {
            assert_eq!(status, StatusCode::OK);
        }
    }
    rig.drained().await;
    let mut leased = rig.leased().await;
    assert_eq!(leased.len(), 60);
    leased.sort();
    leased.dedup();
    assert_eq!(leased.len(), 60);
}

/// The batches wait one after the other, and only the first of them for the store.
async fn callbacks_that_come_while_a_batch_hangs_are_answered_in_time() {
    let mut rig = Rig::with(quick().with_patience(Duration::from_millis(200))).await;
    let service = service(&rig);
    let _forwarding = rig.forward();
    rig.engine.store.fail(Fault::Hang);
    for round in 0..3 {
        let calls = (0..20).map(|n| call(&service, format!("task {round} {n}")));
        for status in join(calls).await {
            assert_eq!(status, StatusCode::OK);
        }
    }
    rig.engine.store.heal();
    rig.drained().await;
    assert_eq!(rig.leased().await.len(), 60);
}

const SECRET: &str = "a-secret-of-32-characters-or-so";

fn service(rig: &Rig) -> CallbackService {
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(rig.store.clone())
        // Nobody's disk is too slow for this.
        .ack_deadline(Duration::from_secs(60))
        .clock(Clock::system())
        .build_front()
        .unwrap()
}

async fn call(service: &CallbackService, task: String) -> StatusCode {
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"task_id":"{task}","video_url":"https://example.com/1.mp4"}}}}"#
    );
    let request = Request::post(format!("/callback?token={SECRET}"))
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    response.status()
}

/// All at once.
async fn join<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(calls).await
}
