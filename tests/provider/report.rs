//! The report says what happened, and so does the observer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tower_callback::{
    Clock, MusicVideo,
    testing::{
        callback,
        provider::{Answer, Fault, Faults, Kind, Planned, Schedule},
    },
};

use crate::{
    event, provider, seconds,
    server::{Reply, Server},
};

#[tokio::test]
async fn the_report_agrees_with_what_the_server_saw_and_the_observer_with_the_report() {
    let status = |number: usize| [200, 200, 503, 204, 200][number % 5];
    let server = Server::start(move |number, _| Reply::Status(status(number))).await;
    let observed = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&observed);
    let report = provider(&server)
        .clock(Clock::scaled(600))
        .seed(3)
        .schedule(Schedule::new(seconds(36_000), [seconds(60); 2]))
        .faults(Faults::all(0.3).with(Fault::Slow, 0.0))
        .events(60)
        .observe(move |attempt| observer.lock().unwrap().push(attempt.clone()))
        .run()
        .await;
    let totals = report.totals();
    let seen = server
        .until("all requests", |seen| seen.len() == totals.requests)
        .await;

    let mut saw: HashMap<u16, usize> = HashMap::new();
    for (number, seen) in seen.iter().enumerate() {
        if seen.is_whole() {
            *saw.entry(status(number)).or_default() += 1;
        }
    }
    let mut said: HashMap<u16, usize> = HashMap::new();
    let mut cut = 0;
    for attempt in report.attempts() {
        match attempt.answer {
            Answer::Status(status) => *said.entry(status.as_u16()).or_default() += 1,
            Answer::CutOff => cut += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(said, saw);
    assert_eq!(cut, report.sent(Kind::Cut));
    assert_eq!(totals.received, saw[&200]);
    assert_eq!(totals.refused, saw[&503] + saw[&204]);
    assert_eq!(totals.unanswered, cut);
    assert_eq!(totals.events, 60);
    assert_eq!(totals.acknowledged + totals.given_up, 60);
    for &kind in Kind::ALL {
        let expected = kind != Kind::Slow;
        assert_eq!(report.sent(kind) > 0, expected, "{kind}");
    }
    for event in report.events() {
        let whole = seen.iter().filter(|it| it.is_whole());
        let arrived = whole.filter(|it| it.text().contains(&format!("\"{}\"", event.task_id)));
        let sent = event
            .attempts
            .iter()
            .filter(|it| it.kind.is_genuine() && it.kind != Kind::Cut);
        // A malformed body may name the task too.
        assert!(arrived.count() >= sent.count());
    }
    let mut observed = observed.lock().unwrap().clone();
    observed.sort_by_key(|attempt| attempt.at);
    let mut reported: Vec<_> = report.attempts().into_iter().cloned().collect();
    let order = |a: &tower_callback::testing::provider::Attempt| (a.at, a.event, a.kind, a.took);
    observed.sort_by_key(order);
    reported.sort_by_key(order);
    assert_eq!(observed, reported);
}

#[tokio::test]
async fn the_report_prints_aligned_lines_and_never_the_url() {
    let server = Server::start(|number, _| Reply::Status([401, 503, 200, 200][number])).await;
    let hands = Clock::manual();
    let report = provider(&server)
        .clock(hands.clock())
        .schedule(Schedule::new(seconds(15), [seconds(0)]))
        .concurrency(1)
        .event(Planned::from(event("task-1")).with(Fault::WrongProof))
        .event(MusicVideo::failed("task-22", 451, "no audio"))
        .run()
        .await;
    let expected = "\
task-1                    200  acknowledged    0:00.000 wrong proof 401,   0:00.000 first 503,   0:00.000 retry 200
task-22                   451  acknowledged    0:00.000 first 200
events              2
acknowledged        2
given up            0
requests            4
received            2
refused             2
unanswered          0
deceived            0
first               2
retry               1
wrong proof         1";
    assert_eq!(report.to_string(), expected);
    let shown = format!("{report:?}{report}{:?}", provider(&server));
    assert!(!shown.contains("token") && !shown.contains("secret"));
}

#[tokio::test]
async fn a_callback_made_by_hand_says_what_it_was_told_to() {
    let server = Server::start(|_, _| Reply::Status(202)).await;
    let url = format!("http://{}/callback?a=b", server.addr);
    let response = callback("task-1")
        .failed(531, "words")
        .query("token", "secret")
        .bearer("other")
        .header("x-mine", "7")
        .send(&url)
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    let seen = &server.seen()[0];
    assert!(
        seen.head
            .starts_with("POST /callback?a=b&token=secret HTTP/1.1\r\n")
    );
    for line in [
        "authorization: Bearer other",
        "x-mine: 7",
        "content-type: application/json",
    ] {
        assert!(seen.head.contains(line), "{line}");
    }
    assert_eq!(
        seen.text(),
        r#"{"code":531,"msg":"words","data":{"task_id":"task-1","video_url":null}}"#
    );
    let error = callback("task-1")
        .send("ftp://example.com/?token=secret")
        .await;
    assert!(!format!("{:?}", error.unwrap_err()).contains("secret"));
}
