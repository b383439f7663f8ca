//! One correlation id is one submission.

use tower_callback::{
    event::Source,
    music_video::{ClientErrorKind, GenerateRequest, SubmitErrorKind, Tracker, WaitErrorKind},
    store::State,
};

use crate::{
    bench::{Bench, MINUTE, NAME, SECOND, request, success},
    provider::{Answer, PENDING, SUCCESS},
};

#[tokio::test]
async fn a_submission_ends_with_the_event_that_its_callback_brings() {
    let bench = Bench::new();
    let running = bench.poll();
    let submitter = bench.submitter();
    let submission = submitter.submit(&request(), "order-1").await.unwrap();
    assert_eq!(submission.task_id(), Some("task-1"));
    assert_eq!(submission.correlation(), "order-1");
    let submitted = &bench.provider.submitted()[0];
    assert_eq!(submitted["taskId"], "music-1");
    assert_eq!(submitted["audioId"], "audio-1");

    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
    assert_eq!(event, success("task-1"));
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].correlation.as_deref(), Some("order-1"));
    assert_eq!(handled[0].source, Source::Callback);
    assert_eq!(bench.provider.asked_at_all(), 0, "nobody had to ask");
    let found = bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    assert_eq!(found.rank, 3);
}

#[tokio::test]
async fn the_same_id_again_is_the_same_submission_and_pays_nothing() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    submitter.submit(&request(), "order-1").await.unwrap();
    // Another process, too.
    for submitter in [submitter, bench.submitter()] {
        let again = submitter.submit(&request(), "order-1").await.unwrap();
        assert_eq!(again.task_id(), Some("task-1"));
    }
    assert_eq!(bench.provider.submitted().len(), 1);
    bench
        .submitter()
        .submit(&request(), "order-2")
        .await
        .unwrap();
    assert_eq!(bench.provider.submitted().len(), 2);
}

#[tokio::test]
async fn another_request_under_the_same_id_is_an_error_and_not_the_first_ones_video() {
    let bench = Bench::new();
    bench.provider.answer([Answer::AcceptAndCut]);
    let submitter = bench.submitter();
    let other = GenerateRequest::new("music-1", "audio-2");
    submitter.submit(&request(), "unknown").await.unwrap_err();
    submitter.submit(&request(), "known").await.unwrap();
    for id in ["unknown", "known"] {
        let error = submitter.submit(&other, id).await.unwrap_err();
        assert_eq!(error.kind(), SubmitErrorKind::AnotherRequest, "{id}");
        assert!(!error.is_retryable());
        let said = "not submitted: the correlation id is that of another request";
        assert_eq!(error.to_string(), said);
    }
    assert_eq!(bench.provider.submitted().len(), 2);
}

#[tokio::test]
async fn a_submission_after_its_event_is_that_event() {
    let bench = Bench::new();
    let running = bench.poll();
    bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let url = bench.provider.callback_url(0);
    running.call(&url, &success("task-1")).await;
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    let again = bench.submitter().submit(&request(), "order-1").await;
    let event = bench.turn_while(SECOND, again.unwrap().wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
    assert_eq!(bench.provider.submitted().len(), 1);
}

#[tokio::test]
async fn what_the_provider_refuses_frees_its_id() {
    let bench = Bench::new();
    bench.provider.answer([Answer::Code(402)]);
    let submitter = bench.submitter();
    let error = submitter.submit(&request(), "order-1").await.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Refused);
    assert!(!error.is_retryable(), "somebody has to pay");
    let cause = std::error::Error::source(&error).unwrap();
    let cause = cause.downcast_ref::<tower_callback::music_video::ClientError>();
    assert_eq!(cause.unwrap().kind(), ClientErrorKind::InsufficientCredits);
    assert!(submitter.find("order-1").await.unwrap().is_none());

    // Without anybody who frees it, the id stays taken, and it is said why.
    let waited = bench
        .turn_while(SECOND / 7, submitter.submit(&request(), "order-1"))
        .await;
    let error = waited.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Occupied);
    assert!(error.is_retryable());
    assert_eq!(bench.provider.submitted().len(), 1);

    let _running = bench.poll();
    let again = bench
        .turn_while(SECOND, submitter.submit(&request(), "order-1"))
        .await;
    assert_eq!(again.unwrap().task_id(), Some("task-2"));
    assert_eq!(bench.provider.submitted().len(), 2);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_has_got_nothing() {
    let bench = Bench::new();
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = nobody.local_addr().unwrap();
    drop(nobody);
    let mut dead = bench.provider.clone();
    dead.addr = addr;
    let client = crate::bench::client(&dead, bench.hands.clock());
    let submitter = tower_callback::music_video::Submitter::new(
        NAME,
        bench.store.clone(),
        client,
        bench.signed(),
    )
    .unwrap();
    let error = submitter.submit(&request(), "order-1").await.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Refused);
    assert!(error.is_retryable());
    let _running = bench.poll();
    let again = bench.submitter();
    let again = bench
        .turn_while(SECOND, again.submit(&request(), "order-1"))
        .await;
    assert_eq!(again.unwrap().task_id(), Some("task-1"));
}

#[tokio::test]
async fn an_existing_task_is_used_and_its_event_found_though_it_was_called_under_another_id() {
    let bench = Bench::new();
    let running = bench.poll();
    bench.submitter().submit(&request(), "first").await.unwrap();
    bench.provider.answer([Answer::Conflict("task-1")]);
    let second = bench
        .submitter()
        .submit(&request(), "second")
        .await
        .unwrap();
    assert_eq!(second.task_id(), Some("task-1"));
    bench.provider.show("task-1", PENDING);
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    let event = bench.turn_while(SECOND, second.wait()).await.unwrap();
    assert_eq!(event, success("task-1"));
    assert_eq!(bench.until_handled(1).await.len(), 1);
    assert_eq!(
        bench.provider.asked("task-1"),
        0,
        "it was found in the store"
    );
}

#[tokio::test]
async fn what_cannot_be_submitted_leaves_nothing_behind() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    for id in ["", "a\nb", &"x".repeat(129)] {
        let error = submitter.submit(&request(), id).await.unwrap_err();
        assert_eq!(error.kind(), SubmitErrorKind::Invalid, "{id:?}");
    }
    let long = request().with_author("x".repeat(51));
    let error = submitter.submit(&long, "order-1").await.unwrap_err();
    assert_eq!(error.kind(), SubmitErrorKind::Refused);
    assert!(bench.store.recorded().is_empty());
    assert!(bench.provider.submitted().is_empty());
    submitter.submit(&request(), "ä".repeat(64)).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_a_submission_that_goes_on() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    let mut submitting = Box::pin(async { submitter.submit(&request(), "order-1").await });
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(submitting.as_mut().poll(&mut cx).is_pending());
    drop(submitting);
    bench
        .turn_until(SECOND, async || {
            (bench.tracked("c:order-1").await).is_some_and(|found| found.rank == 1)
        })
        .await;
    let found = bench.submitter().find("order-1").await.unwrap().unwrap();
    assert_eq!(found.task_id(), Some("task-1"));
}

#[tokio::test]
async fn a_callback_that_overtakes_the_answer_is_the_submissions() {
    let bench = Bench::new();
    let running = bench.poll();
    let submitting = bench.submit_held(bench.submitter(), "order-1").await;
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    bench.provider.release();
    let submission = submitting.await.unwrap().unwrap();
    assert_eq!(submission.task_id(), Some("task-1"));
    let by_its_own_id = bench.tracked("t:task-1").await;
    assert!(by_its_own_id.is_none(), "{by_its_own_id:?}");
    let event = submission.wait().await.unwrap();
    assert_eq!(event, success("task-1"));
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 3);
    assert_eq!(bench.until_handled(1).await.len(), 1);
}

#[tokio::test]
async fn the_event_of_another_task_is_not_the_submissions_whatever_url_it_comes_by() {
    let bench = Bench::new();
    let running = bench.poll();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let url = bench.provider.callback_url(0);
    // Somebody has captured the URL.
    assert_eq!(running.call(&url, &success("task-of-a-thief")).await, 200);
    bench.until_handled(1).await;
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 1);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    let event = bench.turn_while(SECOND, submission.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));

    // Before the task is known nobody can tell. The one who submitted it can, afterwards.
    let failure = tower_callback::MusicVideo::failed("task-of-a-third-thief", 500, "no");
    let thieves = [
        ("order-2", "task-2", success("task-of-another-thief")),
        ("order-3", "task-3", failure),
    ];
    for (nth, (order, task, theirs)) in thieves.into_iter().enumerate() {
        let submitting = bench.submit_held(bench.submitter(), order).await;
        let url = bench.provider.callback_url(nth + 1);
        running.call(&url, &theirs).await;
        let key = format!("c:{order}");
        bench.until_tracked(SECOND, &key, State::Done).await;
        bench.provider.release();
        let submission = submitting.await.unwrap().unwrap();
        let error = submission.wait().await.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::AnotherTask);
        // But its own event comes to the handler.
        bench.provider.show(task, crate::provider::SUCCESS);
        let handled = bench.until_handled(4 + 2 * nth).await;
        assert_eq!(handled[3 + 2 * nth].event, success(task));
    }
}

#[tokio::test]
async fn a_failure_and_then_a_success_are_both_handled_and_the_success_stays() {
    let bench = Bench::new();
    let running = bench.poll();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let url = bench.provider.callback_url(0);
    let failure = tower_callback::MusicVideo::failed("task-1", 500, "no");
    running.call(&url, &failure).await;
    let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
    assert_eq!(event, failure);
    running.call(&url, &success("task-1")).await;
    assert_eq!(bench.until_handled(2).await[1].event, success("task-1"));
    bench
        .turn_until(SECOND, async || {
            bench.tracked("c:order-1").await.unwrap().rank == 3
        })
        .await;
    assert_eq!(submission.wait().await.unwrap(), success("task-1"));
    running.call(&url, &failure).await;
    bench.turn(MINUTE, 20).await;
    assert_eq!(submission.wait().await.unwrap(), success("task-1"));
    assert_eq!(bench.handled().len(), 2);
    running.stop(&bench).await;
}

#[tokio::test]
async fn neither_errors_nor_debug_tell_the_key_or_the_callback_url() {
    let bench = Bench::new();
    bench
        .provider
        .answer([Answer::Code(400), Answer::AcceptAndCut]);
    bench.provider.show_all(SUCCESS);
    let submitter = bench.submitter();
    let refused = submitter.submit(&request(), "order-1").await.unwrap_err();
    let unknown = submitter.submit(&request(), "order-2").await.unwrap_err();
    let submission = submitter.submit(&request(), "order-3").await.unwrap();
    let polling = bench.polling().resubmitting(submitter.clone());
    let tracker = Tracker::new(NAME, bench.store.clone());
    let text = format!(
        "{refused} {refused:?} {unknown} {unknown:?} {submitter:?} {submission:?} {polling:?} \
         {tracker:?}"
    );
    for shown in ["Submitter {", "Submission {", "Tracker {", "order-3", NAME] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    for secret in ["an-api-key", crate::bench::KEY, "example.com", "cap="] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    for record in bench.store.recorded() {
        let stored = String::from_utf8_lossy(&record.body).into_owned();
        assert!(!stored.contains("cap="), "{stored}");
    }
}
