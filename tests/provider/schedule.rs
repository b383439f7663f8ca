//! When the provider calls, what it counts as received, and when it gives up.

use std::time::Duration;

use tokio::sync::mpsc;
use tower_callback::{
    Clock,
    clock::ManualClock,
    testing::provider::{Answer, Attempt, Caller, Fault, Kind, Planned, Report, Schedule},
};

use crate::{
    event, provider, seconds,
    server::{PATIENCE, Reply, Server},
    settle,
};

const TICK: Duration = Duration::from_millis(1);

/// A provider on a clock that the test turns.
struct Turned {
    hands: ManualClock,
    attempts: mpsc::UnboundedReceiver<Attempt>,
    run: tokio::task::JoinHandle<Report>,
}

impl Turned {
    fn start(provider: Caller) -> Self {
        let hands = Clock::manual();
        let (sender, attempts) = mpsc::unbounded_channel();
        let run = provider
            .clock(hands.clock())
            .observe(move |attempt| sender.send(attempt.clone()).unwrap())
            .run();
        Self {
            hands,
            attempts,
            run: tokio::spawn(run),
        }
    }

    /// Turns the clock, with a stop just before the end: who starts too early is caught there.
    async fn turn(&self, by: Duration) {
        self.hands.advance(by - TICK);
        settle().await;
        self.hands.advance(TICK);
    }

    async fn attempt(&mut self) -> Attempt {
        tokio::time::timeout(PATIENCE, self.attempts.recv())
            .await
            .expect("an attempt ends")
            .unwrap()
    }

    async fn report(self) -> Report {
        tokio::time::timeout(PATIENCE, self.run)
            .await
            .expect("the provider gives up")
            .unwrap()
    }
}

fn times(report: &Report) -> Vec<Duration> {
    report.attempts().iter().map(|attempt| attempt.at).collect()
}

#[tokio::test]
async fn an_answer_is_awaited_for_15_s_and_retries_come_1_5_and_15_minutes_after_each_failure() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let mut turned = Turned::start(provider(&server).event(event("task-1")));
    for (number, pause) in [60, 300, 900, 0].into_iter().enumerate() {
        server
            .until("the next attempt", |seen| seen.len() == number + 1)
            .await;
        turned.turn(seconds(15)).await;
        let attempt = turned.attempt().await;
        assert_eq!(attempt.answer, Answer::TimedOut);
        assert_eq!(attempt.took, seconds(15));
        if pause > 0 {
            turned.turn(seconds(pause)).await;
        }
    }
    let report = turned.report().await;
    assert_eq!(times(&report), [0, 75, 390, 1305].map(seconds));
    assert_eq!(report.totals().given_up, 1);
    assert_eq!(server.seen().len(), 4, "then silence");
}

#[tokio::test]
async fn what_fails_at_once_is_retried_after_1_6_and_21_minutes() {
    let server = Server::start(|_, _| Reply::Status(503)).await;
    let mut turned = Turned::start(provider(&server).event(event("task-1")));
    for pause in [60, 300, 900] {
        turned.attempt().await;
        turned.turn(seconds(pause)).await;
    }
    let report = turned.report().await;
    assert_eq!(times(&report), [0, 60, 360, 1260].map(seconds));
    let kinds: Vec<_> = report.attempts().iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::First, Kind::Retry, Kind::Retry, Kind::Retry]);
}

#[tokio::test]
async fn nothing_but_200_counts_as_received() {
    const STATUSES: [u16; 12] = [201, 202, 203, 204, 206, 301, 302, 400, 401, 404, 500, 200];
    let server = Server::start(|number, _| Reply::Status(STATUSES[number])).await;
    let retries = [Duration::ZERO; 20];
    let report = provider(&server)
        .schedule(Schedule::new(PATIENCE, retries))
        .event(event("task-1"))
        .run()
        .await;
    let answers: Vec<_> = report.attempts().iter().map(|it| it.answer).collect();
    let expected = STATUSES.map(|status| Answer::Status(status.try_into().unwrap()));
    assert_eq!(answers, expected, "and nothing comes after 200");
    assert!(report.events()[0].acknowledged);
    assert_eq!(server.seen().len(), STATUSES.len());
}

#[tokio::test]
async fn a_receiver_that_is_down_and_one_that_hangs_up_are_called_again_until_they_answer() {
    let addr = Server::start(|_, _| Reply::Hang).await.addr;
    let (down, mut failures) = mpsc::unbounded_channel();
    let provider = Caller::to(format!("http://{addr}/callback?token=secret"))
        .unwrap()
        .schedule(Schedule::new(PATIENCE, [Duration::from_millis(10); 3000]))
        .event(event("task-1"))
        .observe(move |attempt| down.send(attempt.answer).unwrap());
    let run = tokio::spawn(provider.run());
    let mut wait_for = async |answer| {
        while failures.recv().await.expect("the provider goes on") != answer {}
    };
    wait_for(Answer::NoConnection).await;
    let rude = Server::start_at(addr, |_, _| Reply::HangUp).await;
    wait_for(Answer::Broken).await;
    drop(rude);
    wait_for(Answer::NoConnection).await;
    let _back = Server::start_at(addr, |_, _| Reply::Status(200)).await;
    let report = run.await.unwrap();
    assert!(report.events()[0].acknowledged);
}

#[tokio::test]
async fn an_event_is_not_tried_again_when_its_concurrent_copy_was_acknowledged() {
    // Either of the two may be the first to be seen: with both orders, both are the one that fails.
    for statuses in [[500, 200], [200, 500]] {
        let server = Server::start(move |number, _| Reply::WhenSeen(2, statuses[number])).await;
        let planned = Planned::from(event("task-1")).with(Fault::Concurrent);
        let mut turned = Turned::start(provider(&server).event(planned));
        for _ in 0..2 {
            turned.attempt().await;
        }
        turned.hands.advance(seconds(3600));
        let report = turned.report().await;
        assert!(report.events()[0].acknowledged);
        assert_eq!(report.totals().requests, 2);
    }
}

#[tokio::test]
async fn events_come_when_they_were_planned() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let mut turned = Turned::start(
        provider(&server)
            .pace(seconds(10))
            .event(event("task-1"))
            .event_after(seconds(20), event("task-2"))
            .event(event("task-3")),
    );
    turned.attempt().await;
    turned.turn(seconds(20)).await;
    turned.attempt().await;
    turned.turn(seconds(10)).await;
    turned.attempt().await;
    let report = turned.report().await;
    let order: Vec<_> = report
        .attempts()
        .iter()
        .map(|it| (it.task_id.to_string(), it.at.as_secs()))
        .collect();
    let expected = [("task-1", 0), ("task-3", 20), ("task-2", 30)];
    assert_eq!(order, expected.map(|(task, at)| (task.to_owned(), at)));
}

#[tokio::test]
async fn no_more_requests_are_in_the_air_than_allowed() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let provider = provider(&server)
        .schedule(Schedule::new(seconds(15), []))
        .concurrency(3)
        .events(9);
    let mut turned = Turned::start(provider);
    for wave in 1..=3 {
        server
            .until("a wave of three", |seen| seen.len() == wave * 3)
            .await;
        settle().await;
        turned.hands.advance(seconds(15));
        for _ in 0..3 {
            turned.attempt().await;
        }
    }
    let report = turned.report().await;
    assert_eq!(
        times(&report),
        [0, 0, 0, 15, 15, 15, 30, 30, 30].map(seconds)
    );
}

#[tokio::test]
async fn who_drops_the_run_hangs_up_at_once() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let run = tokio::spawn(provider(&server).events(5).run());
    server.until("five calls", |seen| seen.len() == 5).await;
    run.abort();
    server
        .until("five ended connections", |seen| {
            seen.iter().all(|it| it.closed)
        })
        .await;
}
