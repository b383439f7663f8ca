//! Every fault of a task is what it is called, seen from outside.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tower_callback::{
    Clock, MusicVideo,
    clock::ManualClock,
    testing::provider::{
        Fault, Kind, Schedule, SimulatedProvider, TaskFault, TaskPlan, TaskReport, Truth,
    },
};

use crate::{
    client::{Client, submission},
    seconds,
    server::{PATIENCE, Reply, Server},
    settle,
};

const TICK: Duration = Duration::from_millis(1);

/// One task with a plan, on a clock that the test turns.
struct Stage {
    server: Server,
    hands: ManualClock,
    provider: SimulatedProvider,
    client: Client,
}

impl Stage {
    async fn set(plan: TaskPlan) -> Self {
        let server = Server::start(|_, _| Reply::Status(200)).await;
        let hands = Clock::manual();
        let provider = SimulatedProvider::builder()
            .clock(hands.clock())
            .schedule(Schedule::new(seconds(36_000), []))
            .task(plan.after(seconds(30)))
            .start()
            .await
            .unwrap();
        let client = Client::of(&provider);
        Self {
            server,
            hands,
            provider,
            client,
        }
    }

    async fn with(fault: TaskFault) -> Self {
        Self::set(TaskPlan::new().with(fault)).await
    }

    async fn submit(&self) -> String {
        self.client.task("audio-1", &self.server.url()).await
    }

    /// Submits, and lets the task end.
    async fn end(&self) -> String {
        let task = self.submit().await;
        self.hands.advance(seconds(30));
        self.idle().await;
        task
    }

    async fn idle(&self) {
        tokio::time::timeout(PATIENCE, self.provider.until_idle())
            .await
            .expect("the provider gets through");
    }

    async fn flag(&self, task: &str) -> String {
        let answer = self.client.details(task).await;
        answer["data"]["successFlag"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    async fn url(&self, task: &str) -> String {
        let answer = self.client.details(task).await;
        answer["data"]["response"]["videoUrl"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn task(&self) -> TaskReport {
        self.provider.report().tasks()[0].clone()
    }

    /// Turns the clock in steps until the task at hand is done, and says how far that was.
    async fn turn_until_done<T>(
        &self,
        work: impl Future<Output = T>,
        step: Duration,
    ) -> (T, Duration) {
        let before = self.hands.elapsed();
        let mut work = std::pin::pin!(work);
        let turning = async {
            loop {
                tokio::select! {
                    biased;
                    done = &mut work => return (done, self.hands.elapsed() - before),
                    () = settle() => self.hands.advance(step),
                }
            }
        };
        tokio::time::timeout(PATIENCE, turning)
            .await
            .expect("it gets done")
    }
}

/// Waits until something is so that nobody tells.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "never {what}");
}

#[tokio::test]
async fn a_task_that_fails_is_called_back_and_told_as_a_failure() {
    let stage = Stage::with(TaskFault::Fails).await;
    let task = stage.end().await;
    let Truth::Failed { code } = stage.task().truth else {
        panic!("{:?}", stage.task());
    };
    let seen = stage.server.seen();
    assert!(seen[0].text().contains(&format!("\"code\":{code}")));
    let data = &stage.client.details(&task).await["data"];
    assert_eq!(
        (&data["errorCode"], &data["response"]),
        (&json!(code), &Value::Null)
    );
    let flag = data["successFlag"].as_str().unwrap();
    assert!(["CREATE_TASK_FAILED", "GENERATE_MP4_FAILED"].contains(&flag));
}

#[tokio::test]
async fn a_task_that_fails_first_is_called_back_twice_and_pending_in_between() {
    let stage = Stage::with(TaskFault::FailsFirst).await;
    let task = stage.submit().await;
    stage.hands.advance(seconds(30));
    let seen = stage
        .server
        .until("the failure", |seen| seen.len() == 1 && seen[0].is_whole())
        .await;
    assert!(seen[0].text().contains("\"code\":500"));
    assert_eq!(stage.flag(&task).await, "PENDING");
    assert_eq!(stage.task().truth, Truth::Pending);
    assert!(!stage.task().acknowledged, "that was not the end");
    stage.hands.advance(seconds(300));
    stage.idle().await;
    let seen = stage.server.seen();
    let url = stage.url(&task).await;
    assert_eq!(seen[1].body, MusicVideo::succeeded(&*task, url).encode());
    assert_eq!(seen.len(), 2);
    assert_eq!(stage.task().truth, Truth::Succeeded);
    assert!(stage.task().acknowledged);
}

#[tokio::test]
async fn a_silent_task_is_told_of_and_never_called_back() {
    let stage = Stage::with(TaskFault::Silent).await;
    let task = stage.end().await;
    assert!(stage.server.seen().is_empty());
    assert_eq!(stage.flag(&task).await, "SUCCESS");
    assert!(stage.task().attempts.is_empty() && !stage.task().acknowledged);
}

#[tokio::test]
async fn a_callback_exception_is_told_with_the_video_and_never_called_back() {
    let stage = Stage::with(TaskFault::CallbackException).await;
    let task = stage.end().await;
    assert!(stage.server.seen().is_empty());
    assert_eq!(stage.flag(&task).await, "CALLBACK_EXCEPTION");
    let url = stage.url(&task).await;
    assert!(stage.client.get(&url, &[]).await.whole);
}

#[tokio::test]
async fn a_refused_submission_is_none_and_goes_through_later() {
    let stage = Stage::with(TaskFault::Refused).await;
    let mut refused = 0;
    loop {
        let answer = stage.client.submit("audio-1", &stage.server.url()).await;
        if answer["code"] == 200 {
            break;
        }
        assert!([405, 429, 430, 455, 500].contains(&answer["code"].as_i64().unwrap()));
        assert!(stage.provider.report().tasks().is_empty());
        refused += 1;
    }
    assert!((1..=3).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_late_answer_comes_though_the_task_is_there_at_once() {
    let stages = [
        (Stage::with(TaskFault::AnswersLate).await, 60..=120),
        (
            Stage::set(TaskPlan::new().answering_after(seconds(7))).await,
            7..=7,
        ),
    ];
    for (stage, expected) in stages {
        let client = stage.client.clone();
        let url = stage.server.url();
        let answer = tokio::spawn(async move { client.submit("audio-1", &url).await });
        until("submitted", || stage.provider.report().tasks().len() == 1).await;
        stage.hands.advance(seconds(*expected.start()) - TICK);
        settle().await;
        assert!(!answer.is_finished(), "{expected:?}");
        stage
            .hands
            .advance(seconds(expected.end() - expected.start()) + TICK);
        let answer = answer.await.unwrap();
        assert_eq!(answer["data"]["taskId"], *stage.task().task_id);
    }
}

#[tokio::test]
async fn a_cut_or_wrong_answer_hides_a_task_that_409_shows() {
    for (fault, expected) in [
        (TaskFault::AnswerCut, None),
        (TaskFault::AnswersError, Some(500)),
    ] {
        let stage = Stage::with(fault).await;
        let submission = submission("audio-1", &stage.server.url());
        let answer = stage.client.try_generate(&submission).await;
        assert_eq!(answer.map(|it| it["code"].as_i64().unwrap()), expected);
        assert_eq!(stage.provider.report().tasks().len(), 1, "it has acted");
        let again = stage.client.try_generate(&submission).await.unwrap();
        assert_eq!(again["code"], 409);
        assert_eq!(again["data"]["taskId"], *stage.task().task_id);
        stage.hands.advance(seconds(30));
        stage.idle().await;
        assert_eq!(stage.server.seen().len(), 1, "and it calls back");
    }
}

#[tokio::test]
async fn slow_details_come_after_a_while_of_the_clock() {
    let stage = Stage::with(TaskFault::DetailsSlow).await;
    let task = stage.end().await;
    let client = stage.client.clone();
    let asked = tokio::spawn(async move { client.details(&task).await });
    until("asked", || stage.task().details_calls == 1).await;
    stage.hands.advance(seconds(5) - TICK);
    settle().await;
    assert!(!asked.is_finished());
    stage.hands.advance(seconds(55) + TICK);
    assert_eq!(asked.await.unwrap()["data"]["successFlag"], "SUCCESS");
}

#[tokio::test]
async fn details_that_fail_tell_the_truth_in_the_end() {
    let stage = Stage::with(TaskFault::DetailsFail).await;
    let task = stage.end().await;
    let mut failed = 0;
    while stage.client.details(&task).await["code"] == 500 {
        failed += 1;
    }
    assert!((1..=3).contains(&failed), "{failed}");
    assert_eq!(stage.flag(&task).await, "SUCCESS");
}

#[tokio::test]
async fn details_that_are_behind_say_pending_after_the_callback() {
    let stage = Stage::with(TaskFault::DetailsBehind).await;
    let task = stage.end().await;
    assert_eq!(stage.server.seen().len(), 1);
    stage.hands.advance(seconds(60) - TICK);
    assert_eq!(stage.flag(&task).await, "PENDING");
    stage.hands.advance(seconds(240) + TICK);
    assert_eq!(stage.flag(&task).await, "SUCCESS");
}

#[tokio::test]
async fn a_task_that_is_not_seen_at_first_is_unknown_and_then_known() {
    let stage = Stage::with(TaskFault::DetailsUnseen).await;
    let task = stage.submit().await;
    stage.hands.advance(seconds(1) - TICK);
    assert_eq!(stage.client.details(&task).await["data"], Value::Null);
    stage.hands.advance(seconds(59) + TICK);
    assert_eq!(stage.flag(&task).await, "SUCCESS");
}

#[tokio::test]
async fn a_forgotten_task_is_known_no_more() {
    let stage = Stage::set(TaskPlan::new().forgotten_after(seconds(40))).await;
    let task = stage.end().await;
    stage.hands.advance(seconds(10) - TICK);
    assert_eq!(stage.flag(&task).await, "SUCCESS");
    stage.hands.advance(TICK);
    let answer = stage.client.details(&task).await;
    assert_eq!(
        (&answer["code"], &answer["data"]),
        (&json!(200), &Value::Null)
    );
}

#[tokio::test]
async fn a_cut_download_brings_the_right_beginning_and_can_be_gone_on_with() {
    let stage = Stage::with(TaskFault::VideoCut).await;
    let task = stage.end().await;
    let url = stage.url(&task).await;
    let video = stage.task().video.unwrap().bytes();
    let mut cuts = 0;
    let mut so_far = Vec::new();
    loop {
        let range = format!("bytes={}-", so_far.len());
        let got = stage.client.get(&url, &[("range", &range)]).await;
        assert_eq!(got.head.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(
            got.header("content-length"),
            (video.len() - so_far.len()).to_string()
        );
        so_far.extend(got.body);
        if got.whole {
            break;
        }
        cuts += 1;
        assert!(so_far.len() < video.len());
        assert_eq!(so_far, video[..so_far.len()]);
    }
    assert!((1..=3).contains(&cuts), "{cuts}");
    assert_eq!(so_far, video);
    assert_eq!(stage.task().downloads, cuts + 1);
}

#[tokio::test]
async fn a_cut_sends_everything_before_it() {
    // Chance cuts at 0 now and then: some other seed does not.
    let mut kept = Vec::new();
    for seed in 0..8 {
        let provider = SimulatedProvider::builder()
            .seed(seed)
            .clock(Clock::scaled(1000))
            .task(
                TaskPlan::new()
                    .with(TaskFault::VideoCut)
                    .with(TaskFault::Silent)
                    .video_bytes(1024 * 1024),
            )
            .start()
            .await
            .unwrap();
        let client = Client::of(&provider);
        let task = client.task("audio-1", "http://127.0.0.1:9/").await;
        tokio::time::timeout(PATIENCE, provider.until_idle())
            .await
            .unwrap();
        let url = format!("{}/videos/{task}-0.mp4", provider.base_url());
        kept.push(client.get(&url, &[]).await.body.len());
    }
    // So many 1024ths of a file of 1 MiB are whole KiB: nothing of them was lost on the way.
    assert!(kept.iter().all(|kept| kept % 1024 == 0), "{kept:?}");
    assert!(kept.iter().any(|kept| *kept > 0));
}

#[tokio::test]
async fn a_slow_video_comes_in_drips_and_only_as_the_clock_turns() {
    let stage = Stage::with(TaskFault::VideoSlow).await;
    let task = stage.end().await;
    let url = stage.url(&task).await;
    let (got, took) = stage
        .turn_until_done(stage.client.get(&url, &[]), seconds(1))
        .await;
    assert!(got.whole);
    assert_eq!(got.body, stage.task().video.unwrap().bytes());
    assert!(took >= seconds(5), "{took:?}");
    assert!(
        stage.client.get(&url, &[]).await.whole,
        "the next one is as fast as ever"
    );
}

#[tokio::test]
async fn a_video_that_is_too_long_announces_more_than_comes() {
    let stage = Stage::with(TaskFault::VideoTooLong).await;
    let task = stage.end().await;
    let url = stage.url(&task).await;
    let video = stage.task().video.unwrap();
    let got = stage.client.get(&url, &[]).await;
    assert!(!got.whole);
    assert_eq!(got.body, video.bytes());
    let announced: u64 = got.header("content-length").parse().unwrap();
    assert!((1..=1000).contains(&(announced - video.length())));
    let range = format!("bytes={}-", video.length());
    let got = stage.client.get(&url, &[("range", &range)]).await;
    assert_eq!(got.head.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(
        got.header("content-range"),
        format!("bytes */{}", video.length())
    );
    assert!(stage.client.get(&url, &[]).await.whole);
}

#[tokio::test]
async fn an_expired_url_stays_expired_and_details_gives_a_fresh_one() {
    let by_seed = Stage::with(TaskFault::UrlExpires).await;
    let mut stages = vec![(by_seed, None, seconds(60), seconds(600))];
    for status in [
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::GONE,
    ] {
        let plan = TaskPlan::new().expiring(seconds(100), status);
        stages.push((
            Stage::set(plan).await,
            Some(status),
            seconds(100),
            seconds(100),
        ));
    }
    for (stage, status, earliest, latest) in stages {
        let task = stage.end().await;
        let url = stage.url(&task).await;
        stage.hands.advance(earliest - TICK);
        assert!(stage.client.get(&url, &[]).await.whole);
        assert_eq!(stage.url(&task).await, url, "it is still good");
        stage.hands.advance(latest - earliest + TICK);
        let expired = stage.client.get(&url, &[]).await.head.status;
        match status {
            Some(status) => assert_eq!(expired, status),
            None => assert!([403, 404, 410].contains(&expired.as_u16())),
        }
        let fresh = stage.url(&task).await;
        assert_ne!(fresh, url);
        let got = stage.client.get(&fresh, &[]).await;
        assert_eq!(got.body, stage.task().video.unwrap().bytes());
        assert_eq!(stage.client.get(&url, &[]).await.head.status, expired);
        assert_eq!(
            stage.task().downloads,
            2,
            "who asks for an expired URL downloads nothing"
        );
    }
}

#[tokio::test]
async fn what_goes_wrong_with_callbacks_goes_wrong_with_those_of_tasks() {
    let plan = TaskPlan::new()
        .with_callback(Fault::Concurrent)
        .with_callback(Fault::WrongProof)
        .with_callback(Fault::Malformed);
    let stage = Stage::set(plan).await;
    let task = stage.end().await;
    let report = stage.provider.report();
    for kind in [
        Kind::First,
        Kind::Concurrent,
        Kind::WrongProof,
        Kind::Malformed,
    ] {
        assert_eq!(report.sent(kind), 1, "{kind}");
    }
    assert_eq!(report.deceived(), 2, "the server takes everything");
    let seen = stage.server.seen();
    assert!(
        seen.iter()
            .any(|it| it.text().contains(&format!("forged-{task}")))
    );
    assert!(seen.iter().any(|it| it.head.contains("token=secre0 ")));
}

#[tokio::test]
async fn a_late_callback_is_overtaken_by_that_of_a_later_task() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let hands = Clock::manual();
    let provider = SimulatedProvider::builder()
        .clock(hands.clock())
        .task(
            TaskPlan::new()
                .after(seconds(30))
                .with_callback(Fault::Late),
        )
        .task(TaskPlan::new().after(seconds(30)))
        .start()
        .await
        .unwrap();
    let client = Client::of(&provider);
    let late = client.task("audio-1", &server.url()).await;
    let prompt = client.task("audio-2", &server.url()).await;
    hands.advance(seconds(30));
    until("called back", || provider.report().tasks()[1].acknowledged).await;
    assert_eq!(server.seen().len(), 1);
    hands.advance(seconds(60));
    let seen = server
        .until("the other one", |seen| {
            seen.len() == 2 && seen[1].is_whole()
        })
        .await;
    assert!(seen[0].text().contains(&prompt) && seen[1].text().contains(&late));
}
