//! Submissions of which nobody knows how they went.

use tower_callback::{
    music_video::{SubmitErrorKind, WaitErrorKind},
    store::State,
};

use crate::{
    bench::{Bench, HOUR, MINUTE, SECOND, request, success},
    provider::{Answer, PENDING, SUCCESS},
};

async fn submit_unknown(bench: &Bench) {
    bench.provider.answer([Answer::AcceptAndCut]);
    let error = bench.submitter().submit(&request(), "order-1").await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Unknown);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn an_unknown_outcome_waits_for_its_callback() {
    let bench = Bench::new();
    let running = bench.poll();
    submit_unknown(&bench).await;
    let submission = bench.submitter().find("order-1").await.unwrap().unwrap();
    assert_eq!(submission.task_id(), None);
    bench.turn(3 * HOUR, 60).await;
    assert_eq!(
        bench.provider.asked_at_all(),
        0,
        "there is no id to ask for"
    );
    let url = bench.provider.callback_url(0);
    running.call(&url, &success("task-1")).await;
    let event = bench.turn_while(SECOND, submission.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
    assert_eq!(bench.provider.submitted().len(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_dead_at_the_deadline_and_never_submitted_again() {
    let bench = Bench::new();
    let running = bench.poll();
    submit_unknown(&bench).await;
    bench.turn(23 * HOUR, 100).await;
    let found = bench.tracked("c:order-1").await.unwrap();
    assert_eq!(found.state, State::Pending);
    let found = bench.until_tracked(MINUTE, "c:order-1", State::Dead).await;
    let reason = found.error.unwrap();
    assert!(
        reason.contains("nobody knows whether it was submitted"),
        "{reason}"
    );
    let again = bench.submitter().submit(&request(), "order-1").await;
    let error = again.unwrap().wait().await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Dead);
    assert_eq!(error.reason(), Some(reason.as_str()));
    assert_eq!(bench.provider.submitted().len(), 1);

    // A callback that comes after all is handled, and noted.
    let url = bench.provider.callback_url(0);
    running.call(&url, &success("task-1")).await;
    bench.until_handled(1).await;
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    let late = bench.submitter().find("order-1").await.unwrap().unwrap();
    assert_eq!(late.wait().await.unwrap(), success("task-1"));
}

#[tokio::test]
async fn only_where_a_conflict_is_idempotent_it_is_submitted_again() {
    let bench = Bench::new();
    let submitter = bench.submitter().conflict_is_idempotent();
    let running = bench.run(
        bench
            .builder()
            .poll_with(bench.polling().resubmitting(submitter)),
    );
    submit_unknown(&bench).await;
    bench.turn(MINUTE, 20).await;
    assert_eq!(
        bench.provider.submitted().len(),
        1,
        "not while it may be under way"
    );
    bench.provider.answer([
        // What is refused now may have been taken before.
        Answer::Code(402),
        Answer::AcceptAndCut,
        Answer::Conflict("task-1"),
    ]);
    bench.provider.show("task-1", PENDING);
    bench
        .turn_until(SECOND, async || {
            (bench.tracked("c:order-1").await).is_some_and(|found| found.rank == 1)
        })
        .await;
    assert_eq!(bench.provider.submitted().len(), 4);
    for at in 1..4 {
        assert_ne!(
            bench.provider.callback_url(at),
            bench.provider.callback_url(0)
        );
    }
    bench.provider.show("task-1", SUCCESS);
    let submission = bench.submitter().find("order-1").await.unwrap().unwrap();
    assert_eq!(submission.task_id(), Some("task-1"));
    let event = bench.turn_while(SECOND, submission.wait()).await;
    assert_eq!(event.unwrap().task_id, "task-1");
    assert_eq!(bench.provider.submitted().len(), 4);
    running.stop(&bench).await;
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_dead_at_the_deadline() {
    let bench = Bench::new();
    let submitter = bench.submitter().conflict_is_idempotent();
    let polling = bench.polling().with_deadline(HOUR).resubmitting(submitter);
    let _running = bench.run(bench.builder().poll_with(polling));
    submit_unknown(&bench).await;
    bench.provider.answer(vec![Answer::Code(402); 1000]);
    let found = bench
        .until_tracked(MINUTE / 4, "c:order-1", State::Dead)
        .await;
    assert_eq!(found.rank, 0);
    let submitted = bench.provider.submitted().len();
    assert!((3..=130).contains(&submitted), "{submitted}");
}
