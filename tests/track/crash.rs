//! The process ends in the middle of a submission: at any point at which it can, and after each word
//! with the provider.
//!
//! A crash is the end of the runtime that everything ran on. The store and the provider live on.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower_callback::{music_video::WaitErrorKind, store::State};

use crate::{
    bench::{Bench, HOUR, MINUTE, SECOND, request, success},
    provider::{Answer, SUCCESS},
};

fn process() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Whatever the crash has left: the id was paid for at most once, and can be resolved.
async fn resolve(bench: &Bench) -> &'static str {
    let running = bench.poll();
    let paid = bench.provider.submitted().len();
    assert!(paid <= 1);
    let found = bench.submitter().find("order-1").await.unwrap();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let left = match (found, paid) {
        (None, 0) => "nothing",
        (None, _) => panic!("paid, and nothing is known of it"),
        (Some(found), _) if found.task_id().is_some() => {
            // No callback comes: a poll will do.
            bench.provider.show("task-1", SUCCESS);
            let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
            assert_eq!(event, success("task-1"));
            "a task"
        }
        (Some(_), 1) => {
            let url = bench.provider.callback_url(0);
            running.call(&url, &success("task-1")).await;
            let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
            assert_eq!(event, success("task-1"));
            "a paid intent"
        }
        (Some(_), _) => {
            let step = HOUR / 4;
            let error = bench.turn_while(step, submission.wait()).await.unwrap_err();
            assert_eq!(error.kind(), WaitErrorKind::Dead);
            "an intent"
        }
    };
    assert!(bench.provider.submitted().len() <= 1);
    left
}

#[test]
fn wherever_the_process_ends_nothing_is_paid_twice_and_what_is_left_can_be_resolved() {
    let mut seen = std::collections::BTreeMap::<_, u32>::new();
    let mut polls = 0;
    loop {
        let bench = Bench::new();
        let submitter = bench.submitter();
        let runtime = process();
        let finished = runtime.block_on(async {
            let submitting =
                tokio::spawn(async move { submitter.submit(&request(), "order-1").await });
            for _ in 0..polls {
                if submitting.is_finished() {
                    break;
                }
                // Long enough for a word from the socket now and then.
                std::thread::sleep(Duration::from_micros(50));
                tokio::task::yield_now().await;
            }
            submitting.is_finished()
        });
        drop(runtime);
        // What was written to the socket may still arrive.
        std::thread::sleep(Duration::from_millis(20));
        let left = process().block_on(resolve(&bench));
        *seen.entry(left).or_default() += 1;
        if finished {
            break;
        }
        polls += 1 + polls / 8;
    }
    assert!(seen.contains_key("nothing"), "{seen:?}");
    assert!(seen.contains_key("a task"), "{seen:?}");
    assert!(seen.len() >= 3, "no crash hit the middle: {seen:?}");
}

#[test]
fn a_crash_after_the_provider_acted_and_before_its_answer_leaves_an_intent_for_its_callback() {
    let bench = Bench::new();
    let runtime = process();
    runtime.block_on(bench.submit_held(bench.submitter(), "order-1"));
    drop(runtime);
    bench.provider.release();
    assert_eq!(process().block_on(resolve(&bench)), "a paid intent");
}

#[test]
fn a_crash_after_the_answer_and_before_it_is_noted_leaves_an_intent_for_its_callback() {
    let bench = Bench::new();
    let runtime = process();
    runtime.block_on(async {
        let submitting = bench.submit_held(bench.submitter(), "order-1").await;
        // The answer comes, and cannot be noted.
        bench
            .store
            .fail(tower_callback::testing::Fault::Unavailable);
        bench.provider.release();
        bench.turn(MINUTE, 30).await;
        assert!(!submitting.is_finished());
    });
    drop(runtime);
    bench.store.heal();
    assert_eq!(process().block_on(resolve(&bench)), "a paid intent");
}

#[test]
fn a_crash_after_a_refusal_and_before_it_is_noted_leaves_an_intent_that_ends_at_the_deadline() {
    let bench = Bench::new();
    bench.provider.answer([Answer::Code(402)]);
    let submitter = bench.submitter();
    let mut acts = bench.provider.acts();
    let runtime = process();
    runtime.block_on(async {
        let submitting = tokio::spawn(async move { submitter.submit(&request(), "order-1").await });
        acts.changed().await.unwrap();
        submitting.abort();
    });
    drop(runtime);
    process().block_on(async {
        let _running = bench.poll();
        let found = bench
            .turn_while(MINUTE, async {
                bench.submitter().submit(&request(), "order-1").await
            })
            .await;
        match found {
            // The refusal was noted after all, and the id was free again.
            Ok(submission) if submission.task_id().is_some() => {}
            Ok(submission) => {
                let ended = bench.turn_while(HOUR / 4, submission.wait()).await;
                assert_eq!(ended.unwrap_err().kind(), WaitErrorKind::Dead);
                assert_eq!(bench.provider.submitted().len(), 1);
            }
            Err(error) => panic!("{error:?}"),
        }
    });
}

#[test]
fn a_poller_that_is_killed_at_any_point_hands_its_task_on_and_the_event_is_handled_once() {
    for polls in 0..60 {
        let bench = Bench::new();
        bench.provider.show("task-1", SUCCESS);
        let runtime = process();
        runtime.block_on(async {
            bench
                .submitter()
                .submit(&request(), "order-1")
                .await
                .unwrap();
            let _running = bench.poll();
            bench.hands.advance(3 * MINUTE);
            for _ in 0..polls * 2 {
                std::thread::sleep(Duration::from_micros(50));
                tokio::task::yield_now().await;
                bench.hands.advance(SECOND / 10);
            }
        });
        drop(runtime);
        process().block_on(async {
            let running = bench.poll();
            let submission = bench.submitter().find("order-1").await.unwrap().unwrap();
            let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
            assert_eq!(event, success("task-1"));
            bench.until_tracked(SECOND, "c:order-1", State::Done).await;
            bench.until_handled(1).await;
            running.stop(&bench).await;
        });
        // At least once, as ever: twice only if the end came between handler and settlement.
        let handled = bench.handled().len();
        assert!((1..=2).contains(&handled), "{handled}");
        assert_eq!(bench.provider.submitted().len(), 1);
    }
}
