//! A store that fails in the middle of a submission, or of a poll.

use tokio::time::timeout;
use tower_callback::{music_video::SubmitErrorKind, store::State, testing::Fault};

use crate::{
    bench::{Bench, MINUTE, SECOND, request, success},
    provider::SUCCESS,
};

#[tokio::test]
async fn nothing_is_submitted_that_could_not_be_noted_before() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    for fault in [
        Fault::Unavailable,
        Fault::Full,
        Fault::Panic,
        Fault::Rejected,
    ] {
        bench.store.fail(fault);
        let submitting = bench
            .turn_while(SECOND, submitter.submit(&request(), "order-1"))
            .await;
        let error = submitting.unwrap_err();
        assert_eq!(error.kind(), SubmitErrorKind::Store, "{fault:?}");
        assert!(error.is_retryable());
        bench.store.heal();
    }
    assert!(bench.provider.submitted().is_empty());
    let submission = submitter.submit(&request(), "order-1").await.unwrap();
    assert_eq!(submission.task_id(), Some("task-1"));
}

#[tokio::test]
async fn an_intent_whose_answer_was_lost_is_still_ones_own() {
    let bench = Bench::new();
    bench.store.fail_next(1, Fault::LostAnswer);
    let submitter = bench.submitter();
    let submitting = bench
        .turn_while(SECOND / 10, submitter.submit(&request(), "order-1"))
        .await;
    assert_eq!(submitting.unwrap().task_id(), Some("task-1"));
    assert_eq!(bench.provider.submitted().len(), 1);
}

#[tokio::test]
async fn an_intent_that_was_noted_unanswered_before_the_store_went_away_is_submitted_by_the_retry()
{
    let bench = Bench::new();
    let submitter = bench.submitter();
    // Each insert is made, and none is answered.
    bench.store.fail(Fault::LostAnswer);
    let submitting = bench
        .turn_while(SECOND, submitter.submit(&request(), "order-1"))
        .await;
    let error = submitting.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Store);
    assert!(error.is_retryable());
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 0);
    // Once more in vain.
    bench.store.fail(Fault::Unavailable);
    let submitting = bench
        .turn_while(SECOND, submitter.submit(&request(), "order-1"))
        .await;
    assert_eq!(submitting.unwrap_err().kind(), SubmitErrorKind::Store);
    bench.store.heal();
    // It is another request's meanwhile no more than before.
    let other = tower_callback::music_video::GenerateRequest::new("music-1", "audio-2");
    let error = submitter.submit(&other, "order-1").await.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::AnotherRequest);
    // Of retries at the same time, one submits.
    let request = request();
    let retry = || submitter.submit(&request, "order-1");
    let retried = tokio::join!(retry(), retry(), retry());
    for submission in [retried.0, retried.1, retried.2] {
        submission.unwrap();
    }
    assert_eq!(bench.provider.submitted().len(), 1);
    let again = submitter.submit(&request, "order-1").await.unwrap();
    assert_eq!(again.task_id(), Some("task-1"));
    assert_eq!(bench.provider.submitted().len(), 1);
}

#[tokio::test]
async fn a_task_that_could_not_be_noted_is_its_submissions_again_once_it_is_tracked() {
    let bench = Bench::new();
    let running = bench.poll();
    let submitter = bench.submitter();
    let submitting = bench.submit_held(submitter.clone(), "order-1").await;
    bench.store.fail(Fault::Unavailable);
    bench.provider.release();
    let error = bench.turn_while(SECOND, submitting).await.unwrap();
    assert_eq!(error.unwrap_err().task_id(), Some("task-1"));
    submitter.track("task-1").await.unwrap_err();
    bench.store.heal();
    submitter.track("task-1").await.unwrap();
    assert!(bench.tracked("t:task-1").await.is_none(), "nobody else's");
    // A poll is faster than the callback, which is a repeat then.
    bench.provider.show("task-1", SUCCESS);
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].correlation.as_deref(), Some("order-1"));
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    let found = submitter.find("order-1").await.unwrap().unwrap();
    let event = bench.turn_while(SECOND, found.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
}

#[tokio::test]
async fn a_store_that_fails_after_the_submission_gets_the_task_when_it_is_back() {
    let bench = Bench::new();
    let submitting = bench.submit_held(bench.submitter(), "order-1").await;
    bench.store.fail(Fault::Unavailable);
    bench.provider.release();
    bench.turn(MINUTE, 60).await;
    assert!(!submitting.is_finished());
    bench.store.heal();
    let submission = bench.turn_while(SECOND, submitting).await.unwrap().unwrap();
    assert_eq!(submission.task_id(), Some("task-1"));
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 1);
}

#[tokio::test]
async fn what_the_store_rejects_is_not_tried_again() {
    let bench = Bench::new();
    bench.store.fail(Fault::Rejected);
    let submitter = bench.submitter();
    let request = request();
    let submitting = submitter.submit(&request, "order-1");
    let error = timeout(20 * SECOND, submitting).await.expect("at once");
    assert_eq!(error.unwrap_err().kind(), SubmitErrorKind::Store);
    assert!(bench.provider.submitted().is_empty());
}

#[tokio::test]
async fn a_store_that_stays_away_after_the_submission_is_an_error_that_names_the_task() {
    let bench = Bench::new();
    let running = bench.poll();
    let submitting = bench.submit_held(bench.submitter(), "order-1").await;
    bench.store.fail(Fault::Unavailable);
    bench.provider.release();
    let error = bench.turn_while(SECOND, submitting).await.unwrap();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Unrecorded);
    assert_eq!(error.task_id(), Some("task-1"));
    assert!(!error.is_retryable());
    bench.store.heal();
    let url = bench.provider.callback_url(0);
    running.call(&url, &success("task-1")).await;
    let found = bench.submitter().find("order-1").await.unwrap().unwrap();
    let event = bench.turn_while(SECOND, found.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
}

#[tokio::test]
async fn an_event_that_cannot_be_noted_with_its_submission_is_a_failed_attempt_and_comes_again() {
    let bench = Bench::new();
    let running = bench.poll();
    bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let url = bench.provider.callback_url(0);
    for fault in [Fault::Unavailable, Fault::Busy] {
        // The front's insert goes well.
        assert_eq!(running.call(&url, &success("task-1")).await, 200);
        bench.store.fail(fault);
        bench.turn(SECOND / 2, 50).await;
        bench.store.heal();
        if fault == Fault::Unavailable {
            assert!(bench.handled().is_empty(), "not before it is noted");
        }
    }
    bench.until_handled(1).await;
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 3);
}

#[tokio::test]
async fn a_poll_whose_event_cannot_be_stored_is_made_again() {
    let bench = Bench::new();
    let _running = bench.poll();
    bench.provider.show_all(SUCCESS);
    bench.submitter().track("task-1").await.unwrap();
    bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    bench.turn(119 * SECOND, 10).await;
    bench.store.fail(Fault::Unavailable);
    bench.turn(3 * MINUTE, 60).await;
    assert!(bench.provider.asked_at_all() >= 2);
    assert!(bench.handled().is_empty());
    bench.store.fail_next(2, Fault::LostAnswer);
    bench.until_tracked(SECOND, "t:task-1", State::Done).await;
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    assert_eq!(bench.until_handled(1).await.len(), 1);
    let events = [&b"task-1"[..]];
    let taken = bench.store.recorded();
    let taken = taken
        .iter()
        .filter(|record| events.contains(&&record.key[..]));
    assert_eq!(taken.count(), 1);
}
