//! Every fault is what it is called.

use std::time::Duration;

use tower_callback::{
    Clock, MusicVideo,
    testing::provider::{Answer, Fault, Faults, Kind, Planned, Report, Schedule},
};

use crate::{
    event, provider, seconds,
    server::{PATIENCE, Reply, Seen, Server},
    settle,
};

/// Retries at once, and time enough for a busy machine.
fn prompt() -> Schedule {
    Schedule::new(PATIENCE, [Duration::ZERO; 3])
}

async fn run_with(server: &Server, fault: Fault) -> Report {
    provider(server)
        .clock(Clock::scaled(600))
        .schedule(Schedule::new(seconds(3600), [Duration::ZERO; 3]))
        .event(Planned::from(event("task-1")).with(fault))
        .run()
        .await
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.attempts().iter().map(|it| it.kind).collect()
}

#[tokio::test]
async fn a_duplicate_is_the_identical_request_after_the_acknowledgement() {
    let server = Server::start(|number, _| Reply::Status([503, 200, 500][number])).await;
    let report = run_with(&server, Fault::Duplicate).await;
    assert_eq!(kinds(&report), [Kind::First, Kind::Retry, Kind::Duplicate]);
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "a duplicate that fails is not retried");
    for later in &seen[1..] {
        assert_eq!(
            (&later.head, &later.body),
            (&seen[0].head, &seen[0].body),
            "identical in every byte"
        );
    }
    assert!(report.events()[0].acknowledged);
}

#[tokio::test]
async fn an_event_that_was_never_acknowledged_has_no_duplicate() {
    let server = Server::start(|_, _| Reply::Status(500)).await;
    let report = run_with(&server, Fault::Duplicate).await;
    assert_eq!(report.sent(Kind::Duplicate), 0);
    assert_eq!(report.totals().given_up, 1);
}

#[tokio::test]
async fn concurrent_copies_are_identical_and_in_the_air_at_once() {
    // It answers when it has seen all three, and so does not answer who comes one by one.
    let server = Server::start(|_, _| Reply::WhenSeen(3, 200)).await;
    let report = provider(&server)
        .schedule(prompt())
        .concurrency(1)
        .event(
            Planned::from(event("task-1"))
                .with(Fault::Concurrent)
                .with(Fault::Concurrent),
        )
        .run()
        .await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter()
            .all(|it| it.head == seen[0].head && it.body == seen[0].body)
    );
    assert_eq!(report.sent(Kind::Concurrent), 2);
    assert_eq!(report.totals().received, 3);
}

#[tokio::test]
async fn a_forged_request_has_another_token_and_speaks_of_a_forged_task() {
    let server = Server::start(|_, seen| {
        let forged = !seen.head.contains("token=secret ");
        Reply::Status(if forged { 401 } else { 200 })
    })
    .await;
    let report = run_with(&server, Fault::WrongProof).await;
    let seen = server.seen();
    let forged: Vec<_> = seen
        .iter()
        .filter(|it| !it.head.contains("token=secret "))
        .collect();
    let [forged] = forged[..] else {
        panic!("one request is forged, not {forged:?}");
    };
    assert!(forged.text().contains("forged-task-1"));
    assert_eq!(report.sent(Kind::WrongProof), 1);
    let totals = report.totals();
    assert_eq!((totals.refused, totals.received), (1, 1));
    assert_eq!(totals.deceived, 0);
}

#[tokio::test]
async fn who_answers_forged_and_malformed_requests_with_200_is_shown_as_deceived() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    for fault in [Fault::WrongProof, Fault::Malformed] {
        let report = run_with(&server, fault).await;
        assert_eq!(report.totals().deceived, 1, "{fault:?}");
        assert_eq!(report.totals().received, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_200_for_a_malformed_body_acknowledges_nothing() {
    let right = event("task-1").encode();
    let server =
        Server::start(move |_, seen| Reply::Status(if seen.body == right { 500 } else { 200 }))
            .await;
    let report = run_with(&server, Fault::Malformed).await;
    assert!(!report.events()[0].acknowledged);
    assert_eq!(report.sent(Kind::Malformed), 1);
}

#[tokio::test]
async fn a_slow_body_comes_in_drips_and_only_as_the_clock_turns() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let hands = Clock::manual();
    let run = provider(&server)
        .clock(hands.clock())
        .event(Planned::from(event("task-1")).with(Fault::Slow))
        .run();
    let run = tokio::spawn(run);
    server.until("a head", |seen| seen.len() == 1).await;
    settle().await;
    assert!(server.seen()[0].body.is_empty(), "the clock stands still");
    // An eighth of the fastest slow body.
    hands.advance(Duration::from_millis(187));
    settle().await;
    assert!(server.seen()[0].body.is_empty(), "no drip is due");
    let mut so_far = 0;
    let mut drips = 0;
    loop {
        settle().await;
        // An eighth of the slowest body: each turn lets one drip go.
        hands.advance(Duration::from_millis(1500));
        let seen = server
            .until("another drip", |seen| seen[0].body.len() > so_far)
            .await;
        drips += 1;
        if seen[0].is_whole() {
            break;
        }
        so_far = seen[0].body.len();
    }
    assert!(drips >= 7, "{drips}");
    let report = run.await.unwrap();
    assert_eq!(kinds(&report), [Kind::Slow]);
    assert!(report.events()[0].acknowledged);
    assert_eq!(server.seen()[0].body, event("task-1").encode());
}

#[tokio::test]
async fn a_slow_body_that_is_answered_early_is_a_failed_attempt() {
    // The head alone is answered, while the body is still coming.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hands = Clock::manual();
    let run = tower_callback::testing::Caller::to(url)
        .unwrap()
        .clock(hands.clock())
        .schedule(Schedule::new(seconds(15), []))
        .event(Planned::from(event("task-1")).with(Fault::Slow))
        .run();
    let run = tokio::spawn(run);
    let (mut stream, _) = listener.accept().await.unwrap();
    tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64])
        .await
        .unwrap();
    let answer = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, answer)
        .await
        .unwrap();
    let report = run.await.unwrap();
    let answer = report.attempts()[0].answer;
    assert_eq!(answer, Answer::Status(408.try_into().unwrap()));
}

#[tokio::test]
async fn a_cut_body_ends_in_the_middle_and_the_retry_is_whole() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let report = run_with(&server, Fault::Cut).await;
    let seen = server
        .until("a cut and a retry", |seen| {
            seen.len() == 2 && seen.iter().any(|it| !it.is_whole() && it.closed)
        })
        .await;
    let whole = event("task-1").encode();
    let cut = seen.iter().find(|it| !it.is_whole()).unwrap();
    assert_eq!(cut.announced, whole.len());
    assert!(whole.starts_with(&cut.body));
    let retry = seen.iter().find(|it| it.is_whole()).unwrap();
    assert_eq!(retry.body, whole);
    assert_eq!(kinds(&report), [Kind::Cut, Kind::Retry]);
    assert_eq!(report.attempts()[0].answer, Answer::CutOff);
    assert!(report.events()[0].acknowledged);
}

#[tokio::test]
async fn late_events_are_overtaken() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let report = provider(&server)
        .clock(Clock::scaled(600))
        .event(Planned::from(event("late")).with(Fault::Late))
        .event(event("prompt"))
        .run()
        .await;
    let order: Vec<_> = report
        .attempts()
        .iter()
        .map(|it| it.task_id.to_string())
        .collect();
    assert_eq!(order, ["prompt", "late"]);
}

#[tokio::test]
async fn the_same_seed_sends_the_same_requests_and_another_seed_sends_others() {
    let server = Server::start(|_, _| Reply::Status(200)).await;
    let mut sent_before = 0;
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let report = provider(&server)
            .seed(seed)
            .clock(Clock::scaled(600))
            // A timeout that no busy machine reaches, so that the answers are the same too. No
            // retries, since a retry is left out when a concurrent copy was answered before it.
            .schedule(Schedule::new(seconds(36_000), []))
            .faults(Faults::all(0.4).with(Fault::Slow, 0.0))
            .events(40)
            .event(MusicVideo::failed("task-1", 531, "chosen"))
            .run()
            .await;
        let total = sent_before + report.totals().requests;
        let seen = server
            .until("all requests", |seen| seen.len() == total)
            .await;
        let mut requests: Vec<_> = seen[sent_before..].iter().map(Seen::essence).collect();
        requests.sort();
        sent_before = total;
        runs.push(requests);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn one_after_the_other_the_same_seed_sends_the_same_sequence() {
    let run = async || {
        let server = Server::start(|number, _| Reply::Status([503, 200, 401][number % 3])).await;
        let report = provider(&server)
            .schedule(prompt())
            .concurrency(1)
            .faults(
                Faults::none()
                    .with(Fault::WrongProof, 0.5)
                    .with(Fault::Malformed, 0.5),
            )
            .events(30)
            .run()
            .await;
        assert!(report.sent(Kind::Retry) > 0);
        let requests: Vec<_> = server.seen().iter().map(Seen::essence).collect();
        requests
    };
    assert_eq!(run().await, run().await);
}
