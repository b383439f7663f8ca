//! What an operator reads.

use tower_callback::testing::Fault;
use tracing::Level;

use crate::{
    capture::Capture,
    engine::{Bears, Rig, event, until},
    trials,
};

trials! {
    an_outage_is_one_warning_and_its_end_one_line_with_the_count,
    inserts_that_fail_one_after_the_other_are_one_warning_too,
    a_start_with_records_from_before_is_told,
    a_rejected_record_is_a_warning_with_its_reason,
    a_forwarder_that_is_dropped_unrun_warns,
}

async fn an_outage_is_one_warning_and_its_end_one_line_with_the_count() {
    let mut rig = Rig::new().await;
    let capture = Capture::start(Level::INFO);
    let _forwarding = rig.forward();
    for _ in 0..2 {
        rig.engine.store.fail(Fault::Unavailable);
        for n in 0..20 {
            let mut record = event(format!("task {n}"));
            record.body = "a canary in the body".into();
            rig.put(&record).await;
        }
        rig.engine.store.heal();
        until(async || capture.lines("").len().is_multiple_of(2)).await;
    }
    let lines = capture.lines("");
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for outage in lines.chunks(2) {
        assert!(outage[0].contains("WARN") && outage[0].contains("told to fail"));
        assert!(outage[0].contains("the store is away"), "{outage:?}");
        assert!(outage[1].contains("INFO") && outage[1].contains("forwarded=20"));
        assert!(outage[1].contains("the spool is empty"), "{outage:?}");
    }
    assert!(!lines.concat().contains("canary"));
}

/// Without a forwarder every one of them tries the store.
async fn inserts_that_fail_one_after_the_other_are_one_warning_too() {
    let rig = Rig::new().await;
    let capture = Capture::start(Level::INFO);
    rig.engine.store.fail(Fault::Unavailable);
    for n in 0..5 {
        rig.put(&event(format!("task {n}"))).await;
    }
    let lines = capture.lines("");
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

async fn a_start_with_records_from_before_is_told() {
    let rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    rig.put(&event("a")).await;
    let capture = Capture::start(Level::INFO);
    let mut rig = rig.restarted().await;
    let forwarder = rig.take_forwarder();
    rig.engine.store.fail(Fault::Unavailable);
    forwarder
        .run_until(async { tokio::task::yield_now().await })
        .await;
    let lines = capture.lines("");
    assert!(
        lines.iter().any(|line| line.contains("waiting=1")),
        "{lines:#?}"
    );
    assert!(
        lines.last().unwrap().contains("the forwarder ends"),
        "{lines:#?}"
    );
}

async fn a_rejected_record_is_a_warning_with_its_reason() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let record = event("bad");
    rig.put(&record).await;
    let capture = Capture::start(Level::INFO);
    rig.engine.bears("bad", Bears::Never);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    until(async || capture.lines("").len() == 2).await;
    let lines = capture.lines("");
    assert!(lines[0].contains("WARN") && lines[0].contains("cannot bear this"));
    assert!(lines[0].contains(&record.id.to_string()), "{lines:?}");
    assert!(lines[0].contains("endpoint=\"music-video\""), "{lines:?}");
    assert!(
        lines[1].contains("forwarded=0") && lines[1].contains("dead=1"),
        "{lines:?}"
    );
}

async fn a_forwarder_that_is_dropped_unrun_warns() {
    let mut rig = Rig::new().await;
    let capture = Capture::start(Level::INFO);
    drop(rig.take_forwarder());
    assert!(capture.lines("")[0].contains("dropped without being run"));
    let mut rig = Rig::new().await;
    let forwarding = rig.forward();
    tokio::task::yield_now().await;
    forwarding.abort();
    let _ = forwarding.await;
    assert_eq!(capture.lines("").len(), 1);
}
