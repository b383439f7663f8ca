//! A task from its submission to its video.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tower_callback::{
    Clock, MusicVideo,
    testing::provider::{
        Answer, Kind, Schedule, SimulatedProvider, SimulatedProviderBuilder, TaskPlan, Truth,
    },
};

use crate::{
    client::Client,
    seconds,
    server::{PATIENCE, Reply, Server},
    settle,
};

async fn until_idle(provider: &SimulatedProvider) {
    tokio::time::timeout(PATIENCE, provider.until_idle())
        .await
        .expect("the provider gets through");
}

fn quick() -> SimulatedProviderBuilder {
    SimulatedProvider::builder().clock(Clock::scaled(1000))
}

#[tokio::test]
async fn a_task_is_pending_until_it_ends_and_then_called_back_told_of_and_served() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let hands = Clock::manual();
    let provider = SimulatedProvider::builder()
        .clock(hands.clock())
        .task(TaskPlan::new().after(seconds(60)))
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let created = hands.clock().now();
    let task = client.task("audio-1", &server.url()).await;
    hands.advance(seconds(60) - Duration::from_nanos(1));
    settle().await;
    let millis = |time: std::time::SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    };
    let mut expected = json!({ "code": 200, "msg": "success", "data": {
        "taskId": task, "audioId": "audio-1", "callbackUrl": server.url(),
        "createTime": millis(created), "completeTime": null, "response": null,
        "successFlag": "PENDING", "errorCode": null, "errorMessage": null,
    }});
    let mut details = client.details(&task).await;
    let music_id = details["data"].as_object_mut().unwrap().remove("musicId");
    assert!(music_id.unwrap().as_str().unwrap().starts_with("audioId_"));
    assert_eq!(details, expected);
    let url = format!("{}/videos/{task}-0.mp4", provider.base_url());
    assert_eq!(client.get(&url, &[]).await.head.status, 404);
    assert_eq!(provider.report().tasks()[0].truth, Truth::Pending);
    assert!(server.seen().is_empty());

    hands.advance(Duration::from_nanos(1));
    until_idle(&provider).await;
    assert_eq!(server.seen().len(), 1);
    let event = MusicVideo::succeeded(&*task, &*url);
    assert_eq!(server.seen()[0].body, event.encode());
    let data = &mut expected["data"];
    data["successFlag"] = "SUCCESS".into();
    data["completeTime"] = millis(created + seconds(60)).into();
    data["response"] = json!({ "videoUrl": url });
    let mut details = client.details(&task).await;
    details["data"].as_object_mut().unwrap().remove("musicId");
    assert_eq!(details, expected);
    let got = client.get(&url, &[]).await;
    assert!(got.whole);

    let report = provider.stop().await;
    let [of_task] = report.tasks() else {
        panic!("one task, not {report}");
    };
    assert_eq!(report.task(&task), Some(of_task));
    assert_eq!(of_task.truth, Truth::Succeeded);
    assert_eq!(of_task.video.unwrap().bytes(), got.body);
    assert!(of_task.acknowledged);
    assert_eq!((of_task.details_calls, of_task.downloads), (2, 1));
    assert_eq!(of_task.attempts[0].at, seconds(60));
    assert_eq!(report.calls().generate, 1);
}

#[tokio::test]
async fn a_failure_is_told_with_its_code_and_has_no_video() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let provider = quick()
        .task(TaskPlan::failing(451, "no audio"))
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let task = client.task("audio-1", &server.url()).await;
    until_idle(&provider).await;
    let event = MusicVideo::failed(&*task, 451, "no audio");
    assert_eq!(server.seen()[0].body, event.encode());
    let data = &client.details(&task).await["data"];
    assert_eq!(data["successFlag"], "GENERATE_MP4_FAILED");
    assert_eq!(data["errorCode"], 451);
    assert_eq!(data["errorMessage"], "no audio");
    assert_eq!(data["response"], Value::Null);
    assert!(data["completeTime"].is_u64());
    let url = format!("{}/videos/{task}-0.mp4", provider.base_url());
    assert_eq!(client.get(&url, &[]).await.head.status, 404);
    let report = provider.report();
    assert_eq!(report.tasks()[0].truth, Truth::Failed { code: 451 });
    assert_eq!(report.tasks()[0].video, None);
}

#[tokio::test]
async fn a_callback_is_tried_again_by_the_schedule_and_the_report_counts_every_attempt() {
    let server = Server::start(|number, _| Reply::Status([503, 503, 200][number])).await;
    let provider = quick()
        .schedule(Schedule::new(seconds(3600), [seconds(60), seconds(300)]))
        .start()
        .await
        .unwrap();
    let task = Client::of(&provider).task("audio-1", &server.url()).await;
    until_idle(&provider).await;
    let report = provider.report();
    let task = report.task(&task).unwrap();
    let kinds: Vec<_> = task.attempts.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::First, Kind::Retry, Kind::Retry]);
    assert!(task.acknowledged);
    assert!(task.attempts[1].at >= task.attempts[0].at + seconds(60));
    assert!(task.attempts[2].at >= task.attempts[1].at + seconds(300));
}

#[tokio::test]
async fn what_nobody_receives_is_given_up_and_details_says_so_unless_the_task_failed() {
    let server = Server::start(|_, _| Reply::Status(500)).await;
    let provider = quick()
        .schedule(Schedule::new(seconds(3600), []))
        .task(TaskPlan::new())
        .task(TaskPlan::failing(400, "no"))
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let good = client.task("audio-1", &server.url()).await;
    let bad = client.task("audio-2", &server.url()).await;
    until_idle(&provider).await;
    let data = &client.details(&good).await["data"];
    assert_eq!(data["successFlag"], "CALLBACK_EXCEPTION");
    let url = data["response"]["videoUrl"].as_str().unwrap();
    assert!(client.get(url, &[]).await.whole);
    let data = &client.details(&bad).await["data"];
    assert_eq!(data["successFlag"], "GENERATE_MP4_FAILED");
    let report = provider.report();
    assert!(report.tasks().iter().all(|task| !task.acknowledged));
    assert_eq!(report.tasks()[0].truth, Truth::Succeeded);
    let answer = report.tasks()[0].attempts[0].answer;
    assert_eq!(answer, Answer::Status(500.try_into().unwrap()));
}

#[tokio::test]
async fn callbacks_can_stop_for_all_tasks_and_come_again_for_later_ones() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let provider = quick().start().await.unwrap();
    let client = Client::of(&provider);
    provider.stop_callbacks();
    let quiet = client.task("audio-1", &server.url()).await;
    until_idle(&provider).await;
    assert!(server.seen().is_empty());
    assert_eq!(
        client.details(&quiet).await["data"]["successFlag"],
        "SUCCESS"
    );
    provider.resume_callbacks();
    let told = client.task("audio-2", &server.url()).await;
    until_idle(&provider).await;
    assert_eq!(server.seen().len(), 1);
    assert!(server.seen()[0].text().contains(&told));
}

#[tokio::test]
async fn who_stops_or_drops_it_ends_its_connections_and_renders() {
    for is_stopped in [true, false] {
        let server = Server::start(|_, _| Reply::Hang).await;
        let provider = quick()
            .task(TaskPlan::new().answering_after(seconds(36_000_000)))
            .start()
            .await
            .unwrap();
        let client = Client::of(&provider);
        let submission = crate::client::submission("audio-1", &server.url());
        let waiting = tokio::spawn(async move { client.try_generate(&submission).await });
        server.until("the callback", |seen| seen.len() == 1).await;
        if is_stopped {
            let report = provider.stop().await;
            assert_eq!(report.tasks()[0].truth, Truth::Succeeded);
        } else {
            drop(provider);
        }
        assert_eq!(waiting.await.unwrap(), None);
        server.until("a hang-up", |seen| seen[0].closed).await;
    }
}
