//! The same seed and the same submissions are the same, whatever their order and timing.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::Value;
use tower_callback::{
    Clock,
    testing::provider::{
        Fault, Faults, Kind, Schedule, SimulatedProvider, TaskFault, TaskFaults, TimeFormat, Truth,
    },
};

use crate::{
    client::{Client, submission},
    seconds,
    server::{PATIENCE, Reply, Server},
};

/// What became of one track, as far as nobody's timing decides it.
#[derive(Debug, PartialEq)]
struct Story {
    generate: Vec<Option<i64>>,
    task_id: String,
    truth: Truth,
    digest: Option<[u8; 32]>,
    callbacks: Vec<Kind>,
    details: Vec<i64>,
    flag: Value,
    downloads: Vec<(usize, bool)>,
}

/// Submits until it is through, and says what was answered on the way.
async fn submit(client: &Client, audio: &str, url: &str) -> (Vec<Option<i64>>, String) {
    let mut codes = Vec::new();
    loop {
        let answer = client.try_generate(&submission(audio, url)).await;
        codes.push(answer.as_ref().map(|it| it["code"].as_i64().unwrap()));
        if let Some(task) = answer.as_ref().and_then(|it| it["data"]["taskId"].as_str()) {
            return (codes, task.to_owned());
        }
    }
}

async fn run(seed: u64, together: bool, mut audios: Vec<String>) -> BTreeMap<String, Story> {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let provider = SimulatedProvider::builder()
        .seed(seed)
        .clock(Clock::scaled(3000))
        .schedule(Schedule::new(seconds(360_000), [seconds(1); 3]))
        .faults(Faults::all(0.3).with(Fault::Slow, 0.0))
        // Expiry and slowness are a matter of time.
        .task_faults(TaskFaults::all(0.3).with(TaskFault::UrlExpires, 0.0))
        .times(TimeFormat::Mixed)
        .no_rate_limit()
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let url = server.url();
    let submitted: Vec<_> = if together {
        join_all(audios.iter().map(|audio| submit(&client, audio, &url))).await
    } else {
        audios.reverse();
        let mut submitted = Vec::new();
        for audio in &audios {
            submitted.push(submit(&client, audio, &url).await);
        }
        submitted
    };
    tokio::time::timeout(PATIENCE, provider.until_idle())
        .await
        .unwrap();
    let mut stories = BTreeMap::new();
    for (audio, (generate, task_id)) in audios.into_iter().zip(submitted) {
        let mut codes = Vec::new();
        let data = loop {
            let answer = client.details(&task_id).await;
            let is_through = answer["code"] == 200 && answer["data"]["completeTime"] != Value::Null;
            // How often it is asked while it is behind is a matter of time.
            if answer["code"] != 200 || is_through {
                codes.push(answer["code"].as_i64().unwrap());
            }
            if is_through {
                break answer["data"].clone();
            }
        };
        let mut downloads = Vec::new();
        if let Some(url) = data["response"]["videoUrl"].as_str() {
            while !downloads.last().is_some_and(|(_, whole)| *whole) {
                let got = client.get(url, &[]).await;
                downloads.push((got.body.len(), got.whole));
            }
        }
        let report = provider.report();
        let task = report.task(&task_id).unwrap();
        let mut callbacks: Vec<_> = task.attempts.iter().map(|it| it.kind).collect();
        callbacks.sort_unstable();
        let story = Story {
            generate,
            truth: task.truth,
            digest: task.video.map(|video| video.sha256()),
            callbacks,
            details: codes,
            flag: data["successFlag"].clone(),
            downloads,
            task_id,
        };
        stories.insert(audio, story);
    }
    stories
}

#[tokio::test]
async fn the_same_seed_makes_the_same_stories_one_by_one_or_all_at_once() {
    let audios: Vec<_> = (0..20).map(|number| format!("audio-{number}")).collect();
    let one_by_one = run(7, false, audios.clone()).await;
    let together = run(7, true, audios.clone()).await;
    assert_eq!(one_by_one, together);
    let other = run(8, true, audios).await;
    assert_ne!(other, together);
}
