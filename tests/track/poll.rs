//! Tasks whose callback does not come.

use std::time::Duration;

use tower_callback::{
    event::Source,
    music_video::{Failure, Outcome, Tracker, WaitErrorKind},
    store::{Inbox, NewRecord, Queue, State},
};

use crate::{
    bench::{Bench, HOUR, MINUTE, NAME, SECOND, request, success},
    provider::{PENDING, SUCCESS, View},
};

#[tokio::test]
async fn a_task_is_asked_for_after_two_minutes_and_then_every_30_seconds_until_it_ends() {
    let bench = Bench::new();
    let _running = bench.poll();
    bench.provider.show("task-1", PENDING);
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    // Put off when it was looked at for the first time, which takes a moment.
    let (due_in, due_at) = bench.put_off("c:order-1", 1, SECOND / 100).await;
    assert!(
        due_at >= 120 * SECOND && due_at < 150 * SECOND,
        "{due_at:?}"
    );
    bench.turn(due_in - SECOND, 119).await;
    assert_eq!(bench.provider.asked("task-1"), 0);
    for asked in 1..=4 {
        bench
            .turn_until(SECOND, async || bench.provider.asked("task-1") == asked)
            .await;
        let attempt = 1 + u32::try_from(asked).unwrap();
        // The clock stands meanwhile.
        let due_in = bench.put_off("c:order-1", attempt, Duration::ZERO).await.0;
        assert_eq!(due_in, 30 * SECOND);
        bench.turn(29 * SECOND, 29).await;
        assert_eq!(bench.provider.asked("task-1"), asked);
    }
    bench.provider.show("task-1", SUCCESS);
    let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
    assert_eq!(event, success("task-1"));
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].event, event);
    assert_eq!(handled[0].source, Source::Poll);
    assert_eq!(handled[0].correlation.as_deref(), Some("order-1"));
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    let asked = bench.provider.asked("task-1");
    bench.turn(HOUR, 60).await;
    assert_eq!(bench.provider.asked("task-1"), asked, "it is over");
}

#[tokio::test]
async fn whichever_of_poll_and_callback_comes_second_is_a_repeat() {
    let bench = Bench::new();
    let running = bench.poll();
    bench.provider.show_all(SUCCESS);
    let submitter = bench.submitter();
    submitter.submit(&request(), "by-poll").await.unwrap();
    bench.until_handled(1).await;
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    submitter.submit(&request(), "by-callback").await.unwrap();
    let url = bench.provider.callback_url(1);
    assert_eq!(running.call(&url, &success("task-2")).await, 200);
    bench
        .until_tracked(SECOND, "c:by-callback", State::Done)
        .await;
    bench.turn(HOUR, 60).await;
    let sources: Vec<_> = bench.handled().iter().map(|h| h.source).collect();
    assert_eq!(sources, [Source::Poll, Source::Callback]);
    assert_eq!(bench.provider.asked("task-2"), 0);
}

#[tokio::test]
async fn the_store_is_asked_before_the_provider() {
    let bench = Bench::new();
    // By a token: nothing notes the event with its submission.
    let running = bench.run(bench.with_token().poll_with(bench.polling()));
    bench.submitter().track("task-1").await.unwrap();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    assert_eq!(running.call_by_token(&success("task-1")).await, 200);
    let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
    assert_eq!(event, success("task-1"));
    bench.until_tracked(SECOND, "t:task-1", State::Done).await;
    assert_eq!(bench.provider.asked_at_all(), 0);
    assert_eq!(bench.handled().len(), 1);
}

#[tokio::test]
async fn each_end_that_the_provider_knows_is_the_event_of_its_callback() {
    let bench = Bench::new();
    let _running = bench.poll();
    let tracker = Tracker::new(NAME, bench.store.clone());
    let url = Some("https://example.com/v.mp4");
    bench.provider.show("a", SUCCESS);
    bench
        .provider
        .show("b", View::Flag("CALLBACK_EXCEPTION", url));
    bench.provider.show("c", View::Failed(451));
    bench
        .provider
        .show("d", View::Flag("CREATE_TASK_FAILED", None));
    for task in ["a", "b", "c", "d"] {
        tracker.track(task).await.unwrap();
        tracker.track(task).await.unwrap();
    }
    let mut handled = bench.until_handled(4).await;
    handled.sort_by(|a, b| a.event.task_id.cmp(&b.event.task_id));
    let outcomes: Vec<_> = handled.iter().map(|h| &h.event.outcome).collect();
    let video = Outcome::Succeeded {
        video_url: "https://example.com/v.mp4".to_owned(),
    };
    assert_eq!(
        outcomes,
        [
            &video,
            &video,
            &Outcome::Failed(Failure::DownloadFailed),
            &Outcome::Failed(Failure::ServerError),
        ]
    );
    for task in ["t:a", "t:b", "t:c", "t:d"] {
        bench.until_tracked(SECOND, task, State::Done).await;
    }
    assert_eq!(bench.handled().len(), 4);
}

#[tokio::test]
async fn what_has_not_ended_by_the_deadline_is_dead_with_the_reason() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let running = bench.run(bench.builder().poll_with(polling));
    bench.provider.show("task-1", PENDING);
    bench
        .provider
        .show("stuck", View::Flag("CALLBACK_EXCEPTION", None));
    bench.provider.show("new-word", View::Flag("ON_HOLD", None));
    bench.provider.show("down", View::Down);
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    for task in ["stuck", "new-word", "down"] {
        bench.submitter().track(task).await.unwrap();
    }
    bench.turn(50 * MINUTE, 100).await;
    assert!(bench.provider.asked("task-1") > 3);
    let step = MINUTE / 4;
    for (key, word) in [
        ("c:order-1", "Pending"),
        ("t:stuck", "CallbackException"),
        ("t:new-word", "ON_HOLD"),
        ("t:down", "could not be asked"),
    ] {
        let found = bench.until_tracked(step, key, State::Dead).await;
        assert!(found.error.as_ref().unwrap().contains(word), "{found:?}");
    }
    let took = bench.hands.elapsed();
    assert!((HOUR..HOUR + 20 * MINUTE).contains(&took), "{took:?}");
    let error = submission.wait().await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Dead);

    // And yet: an event that comes late is handled, and what was given up is done.
    let url = bench.provider.callback_url(0);
    running.call(&url, &success("task-1")).await;
    bench.until_handled(1).await;
    let found = bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    assert_eq!(found.rank, 3);
}

#[tokio::test]
async fn a_task_that_the_provider_does_not_know_is_dead_once_it_has_said_so_three_times() {
    let bench = Bench::new();
    let _running = bench.poll();
    bench.submitter().track("task-1").await.unwrap();
    bench
        .turn_until(SECOND, async || bench.provider.asked("task-1") == 2)
        .await;
    let found = bench.tracked("t:task-1").await.unwrap();
    assert_ne!(found.state, State::Dead);
    // Known again: the doubts begin anew.
    bench.provider.show("task-1", PENDING);
    bench
        .turn_until(SECOND, async || bench.provider.asked("task-1") == 3)
        .await;
    bench.provider.show("task-1", View::Code(422));
    let found = bench.until_tracked(SECOND, "t:task-1", State::Dead).await;
    assert_eq!(bench.provider.asked("task-1"), 6);
    let reason = found.error.unwrap();
    assert!(reason.contains("does not know the task"), "{reason}");
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_and_later() {
    let bench = Bench::new();
    let _running = bench.poll();
    for (task, view) in [
        ("down", View::Down),
        ("key", View::Code(401)),
        ("limit", View::Code(430)),
    ] {
        bench.provider.show(task, view);
        bench.submitter().track(task).await.unwrap();
        // It was put off once, and then asked for.
        let (due_in, _) = bench.put_off(&format!("t:{task}"), 2, SECOND).await;
        assert!(due_in >= 13 * SECOND && due_in <= 30 * SECOND, "{due_in:?}");
    }
    bench.turn(5 * HOUR, 600).await;
    for task in ["down", "key", "limit"] {
        let asked = bench.provider.asked(task);
        assert!((8..120).contains(&asked), "{task}: {asked}");
        bench.provider.show(task, SUCCESS);
    }
    assert_eq!(bench.until_handled(3).await.len(), 3);
}

#[tokio::test]
async fn an_answer_about_another_task_is_none() {
    let bench = Bench::new();
    let _running = bench.poll();
    bench.provider.show("task-1", View::Other("task-2"));
    bench.submitter().track("task-1").await.unwrap();
    bench
        .turn_until(SECOND, async || bench.provider.asked("task-1") == 3)
        .await;
    assert!(bench.handled().is_empty());
    bench.provider.show("task-1", SUCCESS);
    assert_eq!(bench.until_handled(1).await[0].event, success("task-1"));
}

#[tokio::test]
async fn a_poll_that_is_looked_at_hundreds_of_times_is_no_failure_of_the_retry_policy() {
    let bench = Bench::new();
    let retry = tower_callback::RetryPolicy::default().with_total(MINUTE);
    let _running = bench.run(bench.builder().retry(retry).poll_with(bench.polling()));
    bench.provider.show("task-1", PENDING);
    bench.submitter().track("task-1").await.unwrap();
    bench
        .turn_until(15 * SECOND, async || bench.provider.asked("task-1") > 200)
        .await;
    bench.provider.show("task-1", SUCCESS);
    bench.until_handled(1).await;
}

#[tokio::test]
async fn a_shutdown_lets_a_poll_finish_and_another_worker_goes_on() {
    let bench = Bench::new();
    let running = bench.poll();
    bench.provider.show("task-1", PENDING);
    bench.submitter().track("task-1").await.unwrap();
    bench
        .turn_until(SECOND, async || bench.provider.asked("task-1") == 1)
        .await;
    running.stop(&bench).await;
    let found = bench.tracked("t:task-1").await.unwrap();
    assert_eq!(found.state, State::Pending, "its lease was given back");
    bench.provider.show("task-1", SUCCESS);
    let running = bench.poll();
    bench.until_handled(1).await;
    // Killed right after: what it held comes again, and is a repeat.
    running.kill().await;
    let _running = bench.poll();
    bench.until_tracked(SECOND, "t:task-1", State::Done).await;
    bench.turn(HOUR, 60).await;
    assert_eq!(bench.handled().len(), 1);
}

#[tokio::test]
async fn what_this_version_cannot_read_waits_for_a_newer_one_until_the_deadline() {
    let bench = Bench::new();
    let polling = bench.polling().with_deadline(HOUR);
    let _running = bench.run(bench.builder().poll_with(polling));
    let strange = NewRecord::new(Queue::tracked(NAME), "z:task-1", "{}");
    bench.store.insert(&[strange]).await.unwrap();
    bench.turn(HOUR - MINUTE, 59).await;
    let found = bench.tracked("z:task-1").await.unwrap();
    assert_eq!(found.state, State::Pending);
    bench.until_tracked(MINUTE, "z:task-1", State::Dead).await;
    assert!(bench.hands.elapsed() < HOUR + 10 * MINUTE);
    assert_eq!(bench.provider.asked_at_all(), 0);
}
