//! Callbacks that are hints alone.

use tower_callback::{
    MusicVideo,
    event::Source,
    store::{
        Inspect, Queue, QueueKind, RecordId, State,
        inspect::{Listing, Released, release},
    },
};

use crate::{
    bench::{Bench, HOUR, MINUTE, NAME, Running, SECOND, request, success},
    provider::{Answer, PENDING, SUCCESS, View},
};

fn confirming(bench: &Bench) -> Running {
    bench.run(bench.with_token().confirm_with(bench.polling()))
}

async fn until_free(bench: &Bench, key: &str) {
    bench
        .turn_until(SECOND, async || bench.tracked(key).await.is_none())
        .await;
}

fn forged(task: &str) -> tower_callback::MusicVideo {
    tower_callback::MusicVideo::succeeded(task, "https://evil.example/v.mp4")
}

#[tokio::test]
async fn a_callback_is_handled_once_the_provider_bears_it_out_and_in_the_providers_words() {
    let bench = Bench::new();
    let running = confirming(&bench);
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(running.call_by_token(&forged("task-1")).await, 200);
    let hint = &bench.store.recorded()[0];
    assert_eq!(hint.queue.kind(), QueueKind::Tracked);
    assert_eq!((&hint.key[..], hint.rank), (&b"h:task-1"[..], 1));
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].event, success("task-1"), "not what was called");
    assert_eq!(handled[0].source, Source::Poll);
    until_free(&bench, "h:task-1").await;
    assert!(bench.hands.elapsed() < 10 * SECOND, "it took one question");

    running.call_by_token(&success("task-1")).await;
    until_free(&bench, "h:task-1").await;
    assert_eq!(bench.provider.asked("task-1"), 1, "the store knew");
    assert_eq!(bench.handled().len(), 1);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_forged_callback_is_never_handled_and_takes_nothing_from_the_genuine_one() {
    let bench = Bench::new();
    let running = confirming(&bench);
    // Of no task, and of one that is still rendered.
    running.call_by_token(&forged("no-task")).await;
    until_free(&bench, "h:no-task").await;
    assert_eq!(bench.provider.asked("no-task"), 3);
    bench.provider.show("task-1", PENDING);
    running.call_by_token(&forged("task-1")).await;
    bench.turn(10 * MINUTE, 100).await;
    assert!(bench.handled().is_empty());
    bench.provider.show("task-1", SUCCESS);
    running.call_by_token(&success("task-1")).await;
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].event, success("task-1"));
    until_free(&bench, "h:task-1").await;
    let events = bench.store.recorded();
    let events = events
        .iter()
        .filter(|r| r.queue.kind() == QueueKind::Events);
    assert_eq!(events.count(), 1);
}

#[tokio::test]
async fn a_forged_failure_keeps_no_success_away_nor_the_other_way_round() {
    let bench = Bench::new();
    let running = confirming(&bench);
    let failure = |task| tower_callback::MusicVideo::failed(task, 500, "no video");
    bench.provider.show("good", SUCCESS);
    running.call_by_token(&failure("good")).await;
    assert_eq!(bench.until_handled(1).await[0].event, success("good"));
    until_free(&bench, "h:good").await;

    bench.provider.show("bad", View::Failed(500));
    running.call_by_token(&forged("bad")).await;
    assert_eq!(bench.until_handled(2).await[1].event, failure("bad"));
    // A success that the provider does not see: it is asked again, for it may be about to.
    until_free(&bench, "h:bad").await;
    assert_eq!(bench.provider.asked("bad"), 3);
    assert_eq!(bench.handled().len(), 2);
}

#[tokio::test]
async fn a_success_that_the_provider_sees_a_moment_after_its_callback_is_not_lost() {
    let bench = Bench::new();
    let running = confirming(&bench);
    bench.provider.show("task-1", View::Failed(500));
    running.call_by_token(&success("task-1")).await;
    bench.until_handled(1).await;
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(bench.until_handled(2).await[1].event, success("task-1"));
    until_free(&bench, "h:task-1").await;
}

#[tokio::test]
async fn a_hint_is_dropped_at_the_deadline_if_the_task_never_ends() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let running = bench.run(bench.with_token().confirm_with(polling));
    bench.provider.show("task-1", PENDING);
    running.call_by_token(&forged("task-1")).await;
    bench.turn(59 * MINUTE, 200).await;
    assert!(bench.tracked("h:task-1").await.is_some());
    until_free(&bench, "h:task-1").await;
    assert!(bench.handled().is_empty());
}

#[tokio::test]
async fn a_hint_that_nobody_could_be_asked_about_is_kept_for_the_operator() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let running = bench.run(bench.with_token().confirm_with(polling));
    bench.provider.show_all(View::Down);
    running.call_by_token(&success("task-1")).await;
    running.call_by_token(&success("task-2")).await;
    bench.turn(30 * MINUTE, 100).await;
    bench.provider.show("task-2", SUCCESS);
    bench.until_handled(1).await;
    let found = bench.until_tracked(MINUTE, "h:task-1", State::Dead).await;
    let reason = found.error.unwrap();
    assert!(reason.contains("whether the callback is true"), "{reason}");
    assert_eq!(bench.handled().len(), 1);
}

#[tokio::test]
async fn a_confirmed_callback_ends_the_wait_of_its_submission() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    bench.provider.show("task-1", SUCCESS);
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &forged("task-1")).await, 200);
    let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
    assert_eq!(event, success("task-1"));
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].correlation.as_deref(), Some("order-1"));
    assert!(bench.hands.elapsed() < 2 * MINUTE, "no poll was needed");
}

#[tokio::test]
async fn a_hint_of_a_tracked_task_is_asked_about_at_once() {
    let bench = Bench::new();
    let running = confirming(&bench);
    bench.submitter().track("task-1").await.unwrap();
    bench.provider.show("task-1", SUCCESS);
    running.call_by_token(&success("task-1")).await;
    bench.until_handled(1).await;
    assert!(bench.hands.elapsed() < 2 * MINUTE);
    until_free(&bench, "h:task-1").await;
    bench.until_tracked(SECOND, "t:task-1", State::Done).await;
    assert_eq!(bench.provider.asked("task-1"), 1, "the store knew");
}

#[tokio::test]
async fn a_forged_callback_does_not_end_what_is_tracked() {
    let bench = Bench::new();
    let running = confirming(&bench);
    // The provider does not see the task yet that it has just taken.
    bench.submitter().track("task-1").await.unwrap();
    running.call_by_token(&forged("task-1")).await;
    until_free(&bench, "h:task-1").await;
    assert!(bench.handled().is_empty());
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(bench.until_handled(1).await[0].event, success("task-1"));
    bench.until_tracked(SECOND, "t:task-1", State::Done).await;
}

#[tokio::test]
async fn a_tracked_task_that_never_ends_is_a_dead_letter_whatever_callbacks_say() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let running = bench.run(bench.with_token().confirm_with(polling));
    bench.provider.show("task-1", PENDING);
    bench.submitter().track("task-1").await.unwrap();
    running.call_by_token(&forged("task-1")).await;
    let found = bench.until_tracked(MINUTE, "t:task-1", State::Dead).await;
    assert!(found.error.unwrap().contains("was not ended after"));
    until_free(&bench, "h:task-1").await;
}

#[tokio::test]
async fn a_front_alone_stores_hints_too_and_the_worker_elsewhere_asks() {
    let bench = Bench::new();
    let front = bench
        .with_token()
        .confirm_with(bench.polling())
        .build_front()
        .unwrap();
    let path = format!("/callback?token={}", crate::bench::TOKEN);
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(
        crate::bench::send(&front, &path, &forged("task-1")).await,
        200
    );
    assert_eq!(bench.store.recorded()[0].queue.kind(), QueueKind::Tracked);
    let _worker = confirming(&bench);
    assert_eq!(bench.until_handled(1).await[0].event, success("task-1"));
}

#[tokio::test]
async fn a_store_that_fails_costs_the_hint_a_503() {
    let bench = Bench::new();
    let running = confirming(&bench);
    bench
        .store
        .fail(tower_callback::testing::Fault::Unavailable);
    assert_eq!(running.call_by_token(&success("task-1")).await, 503);
    bench.store.heal();
    // And when the event cannot be stored that the provider told, it is asked for again.
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(running.call_by_token(&success("task-1")).await, 200);
    bench
        .store
        .fail_next(1, tower_callback::testing::Fault::Full);
    bench.until_handled(1).await;
    until_free(&bench, "h:task-1").await;
}

/// What is in quarantine.
async fn quarantined(bench: &Bench) -> Vec<RecordId> {
    let queue = Queue::quarantine(NAME);
    let page = bench.store.list(&queue, &Listing::all()).await;
    let records = page.unwrap().records;
    records.iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn what_is_released_from_quarantine_is_confirmed_too() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    let submitter = bench.submitter();
    let submission = submitter.submit(&request(), "order-1").await.unwrap();
    let url = bench.provider.callback_url(0);
    bench.provider.show("task-1", PENDING);
    assert_eq!(running.call_unread(&url, &forged("task-1")).await, 415);
    let quarantine = Queue::quarantine(NAME);
    let ids = quarantined(&bench).await;
    let released = release::<MusicVideo>(&bench.store, &quarantine, ids[0]).await;
    assert_eq!(released.unwrap(), Released::Stored);
    assert!(quarantined(&bench).await.is_empty());
    assert!(bench.tracked("h:task-1").await.is_some(), "a hint");
    bench.turn(10 * MINUTE, 100).await;
    assert!(bench.handled().is_empty());

    bench.provider.show("task-1", SUCCESS);
    running.call(&url, &success("task-1")).await;
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].event, success("task-1"), "not what was released");
    assert_eq!(handled[0].correlation.as_deref(), Some("order-1"));
    let event = bench.turn_while(SECOND, submission.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
}

#[tokio::test]
async fn without_confirmation_what_is_released_is_the_event() {
    let bench = Bench::new();
    let running = bench.poll();
    let submitter = bench.submitter();
    submitter.submit(&request(), "order-1").await.unwrap();
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call_unread(&url, &success("task-1")).await, 415);
    let quarantine = Queue::quarantine(NAME);
    let ids = quarantined(&bench).await;
    let released = release::<MusicVideo>(&bench.store, &quarantine, ids[0]).await;
    assert_eq!(released.unwrap(), Released::Stored);
    assert_eq!(bench.until_handled(1).await[0].source, Source::Callback);
}

#[tokio::test]
async fn the_callback_url_of_one_order_gives_its_id_to_no_other_orders_video() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    let submitter = bench.submitter();
    for order in ["order-1", "order-2"] {
        submitter.submit(&request(), order).await.unwrap();
    }
    let [first, second] = [0, 1].map(|at| bench.provider.callback_url(at));
    bench.provider.show("task-1", PENDING);
    bench.provider.show("task-2", SUCCESS);
    running.call(&first, &success("task-2")).await;
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].event, success("task-2"));
    assert_eq!(handled[0].correlation, None);
    until_free(&bench, "h:task-2").await;
    // The genuine one is a repeat, and ends the wait of its submission all the same.
    running.call(&second, &success("task-2")).await;
    let found = bench.until_tracked(SECOND, "c:order-2", State::Done).await;
    assert_eq!(found.rank, 3);
    assert!(bench.hands.elapsed() < 2 * MINUTE, "no poll was needed");

    // Nor once an order has its own video.
    running.call(&second, &success("task-3")).await;
    bench.provider.show("task-3", SUCCESS);
    let handled = bench.until_handled(2).await;
    assert_eq!(handled[1].event, success("task-3"));
    assert_eq!(handled[1].correlation, None);
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 1);
}

#[tokio::test]
async fn two_orders_of_one_task_both_end_with_its_video() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    let submitter = bench.submitter();
    let first = submitter.submit(&request(), "order-1").await.unwrap();
    bench.provider.answer([Answer::Conflict("task-1")]);
    let second = submitter.submit(&request(), "order-2").await.unwrap();
    bench.provider.show("task-1", SUCCESS);
    let url = bench.provider.callback_url(1);
    running.call(&url, &success("task-1")).await;
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].correlation.as_deref(), Some("order-2"));
    for submission in [first, second] {
        let event = bench.turn_while(SECOND, submission.wait()).await;
        assert_eq!(event.unwrap(), success("task-1"));
    }
    bench.turn(10 * MINUTE, 50).await;
    assert_eq!(bench.handled().len(), 1);
}

#[tokio::test]
async fn a_callback_that_is_a_repeat_still_resolves_the_submission_that_nobody_knew_of() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    bench.provider.answer([Answer::AcceptAndCut]);
    let submitter = bench.submitter();
    submitter.submit(&request(), "order-1").await.unwrap_err();
    // Its task is known from elsewhere, and a poll was faster.
    submitter.track("task-1").await.unwrap();
    bench.provider.show("task-1", SUCCESS);
    bench.until_handled(1).await;
    assert_eq!(bench.tracked("c:order-1").await.unwrap().rank, 0);
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    let submission = submitter.find("order-1").await.unwrap().unwrap();
    let event = bench.turn_while(SECOND, submission.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
    until_free(&bench, "h:task-1").await;
    assert_eq!(bench.handled().len(), 1);
}

#[tokio::test]
async fn two_workers_confirm_a_callback_once() {
    let bench = Bench::new();
    let first = confirming(&bench);
    let second = confirming(&bench);
    for n in 0..20 {
        let task = format!("task-{n}");
        bench.provider.show(&task, SUCCESS);
        let running = if n % 2 == 0 { &first } else { &second };
        running.call_by_token(&forged(&task)).await;
    }
    bench.until_handled(20).await;
    for n in 0..20 {
        until_free(&bench, &format!("h:task-{n}")).await;
    }
    bench.turn(10 * MINUTE, 50).await;
    let mut handled = bench.handled();
    handled.sort_by(|a, b| a.event.task_id.cmp(&b.event.task_id));
    handled.dedup_by(|a, b| a.event == b.event);
    assert_eq!((handled.len(), bench.handled().len()), (20, 20));
    first.stop(&bench).await;
    second.stop(&bench).await;
}

#[tokio::test]
async fn a_dead_hint_keeps_no_event_away() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let running = bench.run(bench.with_token().confirm_with(polling));
    bench.provider.show_all(View::Down);
    let failure = MusicVideo::failed("task-1", 500, "no video");
    running.call_by_token(&failure).await;
    bench.until_tracked(MINUTE, "h:task-1", State::Dead).await;
    // What outranks it is asked about, and is more than was claimed before.
    bench.provider.show("task-1", SUCCESS);
    running.call_by_token(&success("task-1")).await;
    assert_eq!(bench.until_handled(1).await[0].event, success("task-1"));
    until_free(&bench, "h:task-1").await;
    // An equal one is a repeat of what waits for the operator, who has it asked for.
    bench.provider.show("task-2", View::Down);
    running.call_by_token(&success("task-2")).await;
    let dead = bench.until_tracked(MINUTE, "h:task-2", State::Dead).await;
    bench.provider.show("task-2", SUCCESS);
    running.call_by_token(&success("task-2")).await;
    bench.turn(10 * MINUTE, 50).await;
    assert_eq!(bench.handled().len(), 1);
    let queue = Queue::tracked(NAME);
    bench.store.requeue(&queue, &[dead.id]).await.unwrap();
    assert_eq!(bench.until_handled(2).await[1].event, success("task-2"));
}
