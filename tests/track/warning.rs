//! Events that only polls bring are a warning: a broken callback URL must not hide.

use tracing::Level;

use crate::{
    bench::{Bench, SECOND, success},
    capture::Capture,
    provider::{SUCCESS, View},
};

const WARNING: &str = "events come by polling alone";

async fn poll(bench: &Bench, from: usize, to: usize) {
    for n in from..to {
        bench.submitter().track(format!("task-{n}")).await.unwrap();
        bench.until_handled(n + 1).await;
    }
}

#[tokio::test]
async fn five_events_in_a_row_by_polls_alone_are_a_warning_and_then_twice_as_many() {
    let capture = Capture::start(Level::INFO);
    let bench = Bench::new();
    let _running = bench.poll();
    bench.provider.show_all(SUCCESS);
    poll(&bench, 0, 4).await;
    assert_eq!(capture.lines(WARNING).len(), 0);
    poll(&bench, 4, 9).await;
    let warnings = capture.lines(WARNING);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("WARN") && warnings[0].contains("events=5"));
    poll(&bench, 9, 10).await;
    assert_eq!(capture.lines(WARNING).len(), 2);
    let failures = capture.lines("an attempt failed");
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
async fn a_callback_ends_the_row() {
    let capture = Capture::start(Level::INFO);
    let bench = Bench::new();
    let running = bench.run(bench.with_token().poll_with(bench.polling()));
    bench.provider.show_all(SUCCESS);
    poll(&bench, 0, 4).await;
    running.call_by_token(&success("called")).await;
    bench.until_handled(5).await;
    poll(&bench, 5, 9).await;
    assert_eq!(capture.lines(WARNING).len(), 0);
    poll(&bench, 9, 10).await;
    assert_eq!(capture.lines(WARNING).len(), 1);
}

#[tokio::test]
async fn where_callbacks_are_hints_the_hint_ends_the_row() {
    let capture = Capture::start(Level::INFO);
    let bench = Bench::new();
    let running = bench.run(bench.with_token().confirm_with(bench.polling()));
    bench.provider.show_all(SUCCESS);
    for n in 0..20 {
        running.call_by_token(&success(&format!("task-{n}"))).await;
        bench.until_handled(n + 1).await;
    }
    assert_eq!(capture.lines(WARNING).len(), 0);
    poll(&bench, 20, 25).await;
    assert_eq!(capture.lines(WARNING).len(), 1);
}

#[tokio::test]
async fn what_a_person_must_mend_at_the_provider_is_told_once_and_without_the_key() {
    let capture = Capture::start(Level::INFO);
    let bench = Bench::new();
    let _running = bench.poll();
    for n in 0..20 {
        let task = format!("task-{n}");
        bench.provider.show(&task, View::Code(401));
        bench.submitter().track(&task).await.unwrap();
    }
    bench
        .turn_until(SECOND, async || bench.provider.asked_at_all() > 60)
        .await;
    let told = capture.lines("could not be asked for a task");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("Unauthorized"));
    assert!(!capture.text().contains("an-api-key"));
}
