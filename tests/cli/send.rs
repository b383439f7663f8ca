//! `send`.

use std::{collections::HashMap, fs};

use axum::Router;
use tokio::task::JoinSet;
use tower_callback::{
    Callbacks, MemoryStore, MusicVideo,
    music_video::KieSignature,
    store::{Inspect, Queue},
    verify::Signature,
};

use crate::{
    command::{SECRET, tower_callback},
    receiver::{self, NAME, PATH},
    tls, trials,
};

trials! {
    each_answer_is_told_with_its_time,
    what_is_not_received_ends_with_1,
    repeats_are_one_event,
    a_failure_is_sent_again_as_often_as_it_was_said,
    bodies_are_replayed_from_a_file,
    signatures_of_each_provider_are_accepted,
    an_https_url_is_called_if_its_certificate_is_good,
}

async fn each_answer_is_told_with_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let send = [
        "send",
        &receiver.url,
        "--token",
        "env:CALLBACK_SECRET",
        "--task",
        "task-1",
    ];
    let ended = tower_callback(&send).ends_with(0).await;
    let line = ended.stdout.lines().next().unwrap();
    assert!(
        line.contains("task-1") && line.contains("first") && line.ends_with(" ms"),
        "{line}"
    );
    assert!(ended.stdout.contains("acknowledged        1"), "{ended:?}");

    let told = tower_callback(&send).tells(0).await;
    assert_eq!(told["attempts"][0]["status"], 200);
    assert_eq!(told["attempts"][0]["task_id"], "task-1");
    assert!(told["attempts"][0]["took_ms"].is_u64());
    receiver.settled(1, 0).await;
}

async fn what_is_not_received_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    // Without its proof.
    let told = tower_callback(&["send", &receiver.url, "--count", "3"])
        .tells(1)
        .await;
    assert_eq!(told["totals"]["given_up"], 3);
    assert_eq!(told["attempts"][2]["status"], 401);
    // Where nobody is.
    let told = tower_callback(&["send", "http://127.0.0.1:1/callback"])
        .tells(1)
        .await;
    assert_eq!(told["attempts"][0]["answer"], "no connection");
    assert!(receiver.store.queues().await.unwrap().is_empty());
}

async fn repeats_are_one_event() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let send = [
        "send",
        &receiver.url,
        "--token",
        "env:CALLBACK_SECRET",
        "--task",
        "a",
        "--task",
        "b",
        "--duplicates",
        "2",
        "--concurrent",
        "1",
        "--scale",
        "600",
        "--timeout",
        "1h",
    ];
    let told = tower_callback(&send).tells(0).await;
    assert_eq!(told["totals"]["requests"], 8);
    receiver.settled(2, 0).await;
    let once = [("a".to_owned(), 1), ("b".to_owned(), 1)];
    assert_eq!(*receiver.handled.lock().unwrap(), HashMap::from(once));
}

async fn a_failure_is_sent_again_as_often_as_it_was_said() {
    let url = "http://127.0.0.1:1/callback";
    let told = tower_callback(&["send", url, "--retry=1ms,2ms"])
        .tells(1)
        .await;
    assert_eq!(told["totals"]["requests"], 3);
    assert_eq!(told["attempts"][2]["kind"], "retry");
    // As the provider does, on a clock that is a million times as fast.
    let told = tower_callback(&["send", url, "--retry", "--scale", "1000000"])
        .tells(1)
        .await;
    assert_eq!(told["totals"]["requests"], 4);
}

async fn bodies_are_replayed_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let file = directory.path().join("bodies.jsonl");
    let failed = |task| MusicVideo::failed(task, 451, "no audio").encode();
    let bodies = [failed("task-1"), "{\"code\":200}".into(), failed("task-2")];
    fs::write(
        &file,
        bodies
            .map(|body| String::from_utf8(body.to_vec()).unwrap())
            .join("\n"),
    )
    .unwrap();
    let send = [
        "send",
        &receiver.url,
        "--token",
        "env:CALLBACK_SECRET",
        "--replay",
        file.to_str().unwrap(),
    ];
    let told = tower_callback(&send).tells(1).await;
    let attempts = told["attempts"].as_array().unwrap();
    let mut seen: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            (
                attempt["task_id"].as_str().unwrap(),
                attempt["status"].as_u64().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("line 2", 422), ("task-1", 200), ("task-2", 200)]);
    receiver.settled(0, 2).await;
}

async fn signatures_of_each_provider_are_accepted() {
    let whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let store = MemoryStore::new();
    let endpoint = |proof: Signature| {
        Callbacks::<MusicVideo>::new(NAME, proof)
            .store(store.clone())
            .build_front()
            .unwrap()
    };
    let kie = Callbacks::<MusicVideo>::new(NAME, KieSignature::new(SECRET)).store(store.clone());
    let app = Router::new()
        .route_service("/kie", kie.build_front().unwrap())
        .route_service("/github", endpoint(Signature::github(SECRET)))
        .route_service("/stripe", endpoint(Signature::stripe(SECRET)))
        .route_service(
            "/standard-webhooks",
            endpoint(Signature::standard_webhooks(whsec)),
        );
    let mut tasks = JoinSet::new();
    let port = receiver::serve(app, &mut tasks).await;
    for (provider, key) in [
        ("kie", "env:CALLBACK_SECRET"),
        ("github", "env:CALLBACK_SECRET"),
        ("stripe", "env:CALLBACK_SECRET"),
        ("standard-webhooks", "env:WHSEC"),
    ] {
        let url = format!("http://127.0.0.1:{port}/{provider}");
        let send = [
            "send",
            &url,
            "--sign",
            provider,
            "--key",
            key,
            "--fault",
            "wrong-proof=1",
        ];
        let told = tower_callback(&send).env("WHSEC", whsec).tells(0).await;
        assert_eq!(told["totals"]["received"], 1, "{provider}: {told}");
        assert_eq!(told["totals"]["refused"], 1, "{provider}: {told}");
    }
    assert_eq!(store.counts(&Queue::events(NAME)).await.unwrap().pending, 4);
}

async fn an_https_url_is_called_if_its_certificate_is_good() {
    let handled = receiver::Handled::default();
    let mut tasks = JoinSet::new();
    for (certificate, code) in [("good.pem", 0), ("expired.pem", 1)] {
        let (callback, _worker) = receiver::endpoint(MemoryStore::new(), &handled);
        let app = Router::new().route_service(PATH, callback);
        let port = tls::serve(app, certificate, &mut tasks).await;
        let url = format!("https://localhost:{port}{PATH}");
        let send = ["send", &url, "--token", "env:CALLBACK_SECRET"];
        tower_callback(&send).ends_with(code).await;
    }
}
