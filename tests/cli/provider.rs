//! `provider`, as a server and as a test of receivers.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinSet,
};
use tower_callback::{Callbacks, MemoryStore, MusicVideo, Token};

use crate::{
    command::{SECRET, tower_callback},
    receiver::{self, PATH},
    trials,
};

trials! {
    a_server_takes_tasks_and_calls_back_about_them,
    our_receiver_stands_the_test,
    a_naive_receiver_does_not,
    what_cannot_be_seen_from_outside_is_said_to_be_so,
}

async fn a_server_takes_tasks_and_calls_back_about_them() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let words = [
        "provider",
        "--tasks",
        "1",
        "--scale",
        "20",
        "--api-key",
        "env:API_KEY",
    ];
    let mut child = tower_callback(&words).env("API_KEY", "the-key").spawn();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let base = first.split_whitespace().last().unwrap().to_owned();
    let key = lines.next_line().await.unwrap().unwrap();
    assert!(!key.contains("the-key"), "{key}");

    let submission = json!({
        "taskId": "music-1", "audioId": "audio-1",
        "callBackUrl": format!("{}?token={SECRET}", receiver.url),
    });
    let submitted = reqwest::Client::new()
        .post(format!("{base}/api/v1/mp4/generate"))
        .bearer_auth("the-key")
        .body(submission.to_string())
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&submitted.bytes().await.unwrap()).unwrap();
    let task = answer["data"]["taskId"].as_str().unwrap().to_owned();
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest += &line;
    }
    assert!(
        rest.contains(&task) && rest.contains("acknowledged"),
        "{rest}"
    );
    assert!(child.wait().await.unwrap().success());
    receiver::until("it is handled", async || {
        receiver.handled.lock().unwrap().contains_key(&task)
    })
    .await;
}

/// Writes down each task that was handled, on a line of its own.
fn note(file: &Path, task: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    file.write_all(format!("{task}\n").as_bytes()).unwrap();
}

/// The words for a test of a receiver. The times are a hundredth, and so is what a slow attempt takes.
fn test<'a>(url: &'a str, handled: &'a str) -> Vec<&'a str> {
    vec![
        "provider",
        "--target",
        url,
        "--events",
        "40",
        "--seed",
        "7",
        "--scale",
        "20",
        "--token",
        "env:CALLBACK_SECRET",
        "--handled",
        handled,
        "--settle",
        "60s",
    ]
}

async fn our_receiver_stands_the_test() {
    let directory = tempfile::tempdir().unwrap();
    let handled: PathBuf = directory.path().join("handled");
    let file = handled.clone();
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .store(MemoryStore::new())
            .handle(move |delivery| {
                note(&file, &delivery.event.task_id);
                async { Ok(()) }
            })
            .build()
            .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(worker.run_until(std::future::pending()));
    let port = receiver::serve(Router::new().route_service(PATH, callback), &mut tasks).await;
    let url = format!("http://127.0.0.1:{port}{PATH}");
    let words = [&test(&url, handled.to_str().unwrap())[..], &["--json"]].concat();
    let ended = tower_callback(&words).run().await;
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["events"], 40);
    assert!(told["requests"].as_u64() > Some(60), "{told}");
    for wrong in [
        "lost",
        "handled_twice",
        "forged_accepted",
        "unreadable_dropped",
    ] {
        assert_eq!(told[wrong], 0, "{wrong}: {told}");
    }
    // A machine that is busy with other things may answer late: then that is what it says.
    let is_late = told["answered_too_late"] != 0;
    assert_eq!(ended.code, i32::from(is_late), "{told}");
}

type Naive = Arc<(PathBuf, Mutex<HashSet<String>>)>;

/// As the provider's documentation shows it, and worse: no proof, no memory of repeats, 200 for
/// everything, and an event that it forgets.
async fn naive(State(naive): State<Naive>, body: Bytes) -> (StatusCode, Json<Value>) {
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(task) = event["data"]["task_id"].as_str() {
        let (file, seen) = &*naive;
        let is_first = seen.lock().unwrap().insert(task.to_owned());
        let forgets = is_first && seen.lock().unwrap().len() == 1;
        if !forgets {
            note(file, task);
        }
    }
    (StatusCode::OK, Json(json!({"status": "received"})))
}

async fn a_naive_receiver_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let handled = directory.path().join("handled");
    let state: Naive = Arc::new((handled.clone(), Mutex::default()));
    let app = Router::new().route(PATH, post(naive)).with_state(state);
    let mut tasks = JoinSet::new();
    let port = receiver::serve(app, &mut tasks).await;
    let url = format!("http://127.0.0.1:{port}{PATH}");
    let mut words = test(&url, handled.to_str().unwrap());
    let (settle, first) = (words.len() - 1, "lost");
    words[settle] = "1s";
    let told = tower_callback(&words).tells(1).await;
    for wrong in ["handled_twice", "forged_accepted", "unreadable_dropped"] {
        assert!(told[wrong].as_u64() > Some(0), "{wrong}: {told}");
    }
    assert!(told[first].as_u64() <= Some(1), "{told}");
    let _ = fs::remove_file(handled);
}

async fn what_cannot_be_seen_from_outside_is_said_to_be_so() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
    let words = [
        "provider",
        "--target",
        &receiver.url,
        "--events",
        "5",
        "--faults",
        "0",
        "--token",
        "env:CALLBACK_SECRET",
    ];
    let ended = tower_callback(&words).ends_with(0).await;
    let twice = ended
        .stdout
        .lines()
        .find(|line| line.starts_with("handled twice"));
    assert!(
        twice.unwrap().contains("not to be seen from outside"),
        "{ended:?}"
    );
    let told = tower_callback(&words).tells(0).await;
    assert!(told["handled_twice"].is_null());
    // Nobody there: all of them are lost.
    let words = [
        "provider",
        "--target",
        "http://127.0.0.1:1/",
        "--events",
        "2",
        "--faults",
        "0",
        "--scale",
        "1000000",
    ];
    let told = tower_callback(&words).tells(1).await;
    assert_eq!((&told["lost"], &told["requests"]), (&json!(2), &json!(8)));
}
