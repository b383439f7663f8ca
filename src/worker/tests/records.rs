//! Records that are no events, and what comes before the handler of those that are.

use std::pin::Pin;

use super::*;
use crate::{
    BoxError, RetryPolicy, TraceContext,
    store::Leased,
    worker::{
        Step,
        records::{Records, Ruling},
    },
};

/// Rules by the body.
struct ByBody(Seen<u32>);

impl Records for ByBody {
    async fn handle(&self, leased: Leased) -> Ruling {
        self.0.push(leased.attempt);
        match &leased.body[..] {
            b"dead" => Ruling::Dead("it is over".to_owned()),
            b"disown" => Ruling::Disown,
            b"panic" => panic!("records"),
            b"later" if leased.attempt < 20 => Ruling::Later {
                after: MINUTE,
                why: "not yet".to_owned(),
            },
            _ => Ruling::Done,
        }
    }
}

#[tokio::test]
async fn a_record_becomes_what_its_room_rules() {
    let bench = Bench::new();
    let running = bench.run(AnyHandler::from_records(ByBody(Seen::new())));
    for word in ["done", "dead", "disown"] {
        bench.insert(word).await;
    }
    bench.until_state("done", State::Done).await;
    bench.until_state("dead", State::Dead).await;
    let reason = bench.find("dead").await.error.unwrap();
    assert_eq!(reason, "it is over");
    for _ in 0..100 {
        calm().await;
    }
    let free = bench.store.inner.find(&bench.queue, b"disown").await;
    assert!(free.unwrap().is_none(), "its key is free again");
    running.stop(&bench).await;
}

#[tokio::test]
async fn to_look_again_later_is_no_failure_and_not_bounded_by_the_retry_policy() {
    let traces = traces();
    let mut bench = Bench::new();
    bench.settings.retry = RetryPolicy::default().with_total(SECOND);
    let looks = Seen::new();
    let running = bench.run(AnyHandler::from_records(ByBody(looks.clone())));
    bench.insert("later").await;
    bench.until(|| looks.len() == 1).await;
    bench.turn(MINUTE - SECOND, SECOND).await;
    assert_eq!(looks.len(), 1, "not before its time");
    assert_eq!(bench.find("later").await.error.as_deref(), Some("not yet"));
    bench.turn_until(SECOND, || looks.len() == 20).await;
    bench.until_state("later", State::Done).await;
    assert_eq!(traces.count("WARN") + traces.count("ERROR"), 0);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_room_that_panics_is_tried_again_by_the_policy() {
    let mut bench = Bench::new();
    bench.settings.retry = RetryPolicy::default().with_total(MINUTE);
    let looks = Seen::new();
    let running = bench.run(AnyHandler::from_records(ByBody(looks.clone())));
    bench.insert("panic").await;
    bench.turn(2 * MINUTE, SECOND).await;
    bench.until_state("panic", State::Dead).await;
    assert!(looks.len() > 2);
    running.stop(&bench).await;
}

/// Fails the first few times.
struct Failing(Seen<String>);

impl Step for Failing {
    fn before<'a>(
        &'a self,
        leased: &'a Leased,
    ) -> Pin<Box<dyn Future<Output = Result<Option<TraceContext>, BoxError>> + Send + 'a>> {
        Box::pin(async {
            self.0.push(format!("step {}", leased.attempt));
            match leased.attempt {
                1 | 2 => Err("not noted".into()),
                3 => panic!("step"),
                _ => Ok(None),
            }
        })
    }
}

#[tokio::test]
async fn a_step_that_fails_is_a_failed_attempt_of_which_the_handler_learns_nothing() {
    let bench = Bench::new();
    let seen = Seen::new();
    let handled = seen.clone();
    let handler = AnyHandler::from_fn(move |delivery: Delivery<Word>| {
        handled.push(format!("handler {}", delivery.attempt()));
        async { Ok(()) }
    });
    let running = bench.run(handler.after(Arc::new(Failing(seen.clone()))));
    bench.insert("word").await;
    bench.turn_until(SECOND, || seen.len() >= 5).await;
    bench.until_state("word", State::Done).await;
    assert_eq!(
        seen.all(),
        ["step 1", "step 2", "step 3", "step 4", "handler 4"]
    );
    running.stop(&bench).await;
}
