//! What becomes of an event: handled, tried again, given up.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::worker::{GiveUp, Handler, RetryAfter, RetryPolicy};

#[test]
fn a_handler_is_printed_by_its_name() {
    assert_eq!(format!("{:?}", by_hand().0), "AnyHandler");
}

#[tokio::test]
async fn an_event_is_handled_once_and_done() {
    let bench = Bench::new();
    bench.insert("before").await;
    let seen = Seen::new();
    let running = bench.handle({
        let seen = seen.clone();
        move |delivery| {
            seen.push((delivery.attempt(), delivery.event.0));
            async { Ok(()) }
        }
    });
    bench.until_state("before", State::Done).await;
    bench.insert("after").await;
    bench.until_state("after", State::Done).await;
    bench.turn(MINUTE * 10, SECOND).await;
    assert_eq!(
        seen.all(),
        [(1, "before".to_owned()), (1, "after".to_owned())]
    );
    running.stop(&bench).await;
    assert_eq!(bench.liveness.get(), Life::Stopped);
}

#[tokio::test]
async fn a_delivery_tells_what_the_front_had_noted() {
    let bench = Bench::new();
    let arrived = SystemTime::UNIX_EPOCH + Duration::from_millis(1_735_661_400_123);
    let mut meta = Meta::new(arrived, &HeaderMap::new());
    meta.correlation = Some("order-7".to_owned());
    meta.labels = vec!["2026".to_owned()];
    let record = NewRecord::new(bench.queue.clone(), "key", "word")
        .with_meta(meta.encode())
        .with_rank(3);
    bench.store.insert(&[record]).await.unwrap();
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    assert_eq!(delivery.event, Word("word".to_owned()));
    assert_eq!((delivery.key(), delivery.rank()), ("key", 3));
    assert_eq!(delivery.arrived(), arrived);
    assert_eq!(delivery.correlation(), Some("order-7"));
    assert_eq!(delivery.secret_labels(), ["2026"]);
    assert_eq!(delivery.body(), "word");
    assert_eq!(delivery.lease().queue, bench.queue);
    end.send(Ok(())).unwrap();
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_until_it_succeeds() {
    let bench = Bench::new();
    bench.insert("word").await;
    let seen = Seen::new();
    let running = bench.handle({
        let (seen, hands) = (seen.clone(), bench.hands.clone());
        move |delivery| {
            seen.push((delivery.attempt(), hands.elapsed()));
            async move {
                if delivery.attempt() < 8 {
                    return Err("not yet".into());
                }
                Ok(())
            }
        }
    });
    bench.turn_until(SECOND / 2, || seen.len() == 8).await;
    bench.until_state("word", State::Done).await;
    let attempts = seen.all();
    for (n, pair) in attempts.windows(2).enumerate() {
        let [(attempt, at), (next_attempt, next_at)] = pair else {
            unreachable!()
        };
        assert_eq!(*next_attempt, attempt + 1);
        let bound = SECOND * (1 << n) + SECOND * 3;
        assert!(*next_at - *at <= bound, "attempt {next_attempt}: {pair:?}");
    }
    running.stop(&bench).await;
}

#[tokio::test]
async fn retries_end_in_a_dead_letter_with_the_last_error_when_their_time_is_over() {
    let traces = traces();
    let mut bench = Bench::new();
    bench.settings.retry = RetryPolicy::default()
        .with_first_delay(SECOND * 10)
        .with_total(MINUTE * 5);
    bench.insert("word").await;
    let seen = Seen::new();
    let running = bench.handle({
        let (seen, hands) = (seen.clone(), bench.hands.clone());
        move |delivery| {
            seen.push(hands.elapsed());
            async move { Err(format!("failure {}", delivery.attempt()).into()) }
        }
    });
    bench
        .turn_until(SECOND, || traces.count("dead letter") == 1)
        .await;
    bench.until_state("word", State::Dead).await;
    let attempts = seen.all();
    let last = *attempts.last().unwrap();
    assert!(
        last >= MINUTE * 5 && last < MINUTE * 5 + SECOND * 5,
        "{last:?}"
    );
    let Some(Action::Dead { reason }) = bench.actions().pop() else {
        panic!("not dead: {:?}", bench.actions());
    };
    assert!(
        reason.starts_with(&format!("failure {}", attempts.len())),
        "{reason}"
    );
    bench.turn(MINUTE * 60, MINUTE).await;
    assert_eq!(seen.len(), attempts.len(), "what is dead is left alone");
    assert_eq!(traces.count("an attempt failed"), attempts.len());
    running.stop(&bench).await;
}

#[tokio::test]
async fn giving_up_makes_a_dead_letter_at_once() {
    let bench = Bench::new();
    bench.insert("word").await;
    let running = bench.handle(|_| async {
        let hopeless: Result<(), crate::BoxError> = Err(Box::new(GiveUp::new("no such order")));
        hopeless?;
        Ok(())
    });
    bench.until_state("word", State::Dead).await;
    let reason = "no such order".to_owned();
    assert_eq!(bench.actions(), [Action::Dead { reason }]);
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_asked_delay_replaces_the_policys() {
    let bench = Bench::new();
    bench.insert("word").await;
    let running = bench.handle(|_| async { Err(RetryAfter::new(MINUTE * 90, "429").into()) });
    bench.until(|| !bench.actions().is_empty()).await;
    let expected = Action::RetryIn {
        after: MINUTE * 90,
        error: "429".to_owned(),
    };
    assert_eq!(bench.actions(), [expected]);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_its_message_is_kept() {
    let bench = Bench::new();
    bench.insert("word").await;
    bench.insert("panic").await;
    let running = bench.handle(|delivery| async move {
        panic!("no {}", delivery.event.0);
    });
    bench.until(|| bench.actions().len() == 2).await;
    let errors: Vec<_> = bench
        .actions()
        .into_iter()
        .map(|action| match action {
            Action::RetryIn { error, .. } => error,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        errors.contains(&"the handler panicked: no word".to_owned()),
        "{errors:?}"
    );
    assert!(
        errors.contains(&"the handler panicked: parse".to_owned()),
        "{errors:?}"
    );
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_event_that_no_longer_parses_is_a_failed_attempt() {
    let bench = Bench::new();
    bench.insert("unreadable").await;
    let record = NewRecord::new(bench.queue.clone(), "key", "word").with_meta("no json");
    bench.store.insert(&[record]).await.unwrap();
    let running = bench.handle(|_| async { unreachable!() });
    bench.until(|| bench.actions().len() == 2).await;
    let actions = format!("{:?}", bench.actions());
    assert!(
        actions.contains("not this event: not a word any more"),
        "{actions}"
    );
    assert!(
        actions.contains("the record's meta cannot be read"),
        "{actions}"
    );
    assert_eq!(actions.matches("RetryIn").count(), 2);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_handler_that_hangs_is_dropped_when_its_timeout_is_up() {
    let mut bench = Bench::new();
    bench.settings.handler_timeout = Some(MINUTE * 5);
    bench.insert("word").await;
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Falls(Arc<AtomicUsize>);
    impl Drop for Falls {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let running = bench.handle({
        let dropped = Arc::clone(&dropped);
        move |_| {
            let falls = Falls(Arc::clone(&dropped));
            async move {
                std::future::pending::<()>().await;
                drop(falls);
                Ok(())
            }
        }
    });
    bench.turn(MINUTE * 5 - SECOND, SECOND).await;
    assert_eq!(bench.actions(), []);
    bench
        .turn_until(SECOND, || !bench.actions().is_empty())
        .await;
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let Action::RetryIn { error, .. } = &bench.actions()[0] else {
        panic!("{:?}", bench.actions());
    };
    assert_eq!(error, "the handler was not done within its timeout of 300s");
    assert!(!bench.is("word", State::Done).await);
    running.stop(&bench).await;
}

#[tokio::test]
async fn no_more_handlers_than_the_concurrency_run_at_once_and_every_place_is_used() {
    let mut bench = Bench::new();
    bench.settings.concurrency = 3;
    for n in 0..10 {
        bench.insert(&n.to_string()).await;
    }
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let mut open = Vec::new();
    for left in (0..10).rev() {
        calm().await;
        while let Ok(one) = told.try_recv() {
            open.push(one);
        }
        assert_eq!(open.len(), 3.min(left + 1));
        open.pop().unwrap().1.send(Ok(())).unwrap();
    }
    bench.until(|| bench.actions().len() == 10).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn what_ended_together_is_settled_by_one_call() {
    let bench = Bench::new();
    for n in 0..16 {
        bench.insert(&n.to_string()).await;
    }
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(told.recv().await.unwrap().1);
    }
    for end in open {
        end.send(Ok(())).unwrap();
    }
    bench.until(|| bench.actions().len() == 16).await;
    assert_eq!(bench.store.settled().len(), 1);
    assert_eq!(bench.store.saw().leases[0], (16, 16));
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_upgrade_during_the_handling_runs_after_it_and_never_beside_it() {
    let bench = Bench::new();
    bench.insert_as("task", "failure", 0).await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (first, end) = told.recv().await.unwrap();
    assert_eq!(first.event.0, "failure");
    assert_eq!(
        bench.insert_as("task", "success", 1).await,
        Inserted::Upgraded
    );
    bench.turn(MINUTE * 5, SECOND).await;
    assert!(told.try_recv().is_err(), "one at a time");
    end.send(Ok(())).unwrap();
    bench.turn_until(SECOND, || !told.is_empty()).await;
    let (second, end) = told.recv().await.unwrap();
    assert_eq!((second.event.0.as_str(), second.rank()), ("success", 1));
    assert_eq!(second.attempt(), 1);
    end.send(Ok(())).unwrap();
    bench.until_state("task", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_handler_with_state_is_shared_by_its_deliveries() {
    struct Counting(AtomicUsize);
    impl Handler<Word> for Counting {
        async fn handle(&self, _: Delivery<Word>) -> Result<(), HandlerError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let bench = Bench::new();
    bench.insert("a").await;
    bench.insert("b").await;
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let handler = Box::new(Arc::clone(&counting));
    let running = bench.run(AnyHandler::from_handler(handler));
    bench.until(|| bench.actions().len() == 2).await;
    assert_eq!(counting.0.load(Ordering::Relaxed), 2);
    running.stop(&bench).await;
}

#[tokio::test]
async fn durations_are_the_stores_on_a_scaled_clock() {
    let store = Arc::new(Probe::new(MemoryStore::new()));
    let queue = Queue::events("words");
    let meta = Meta::new(SystemTime::now(), &HeaderMap::new()).encode();
    let record = NewRecord::new(queue.clone(), "word", "word").with_meta(meta);
    store.insert(&[record]).await.unwrap();
    let worker = Worker::new(
        queue,
        AnyStore::new(Arc::clone(&store)),
        Clock::scaled(60),
        WorkerSettings::default(),
        AnyHandler::from_fn(|_: Delivery<Word>| async {
            Err(RetryAfter::new(MINUTE * 60, "later").into())
        }),
        Arc::default(),
        Liveness::new(),
    );
    let stop = async {
        while store.settled().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    worker.run_until(stop).await;
    let after = MINUTE;
    let error = "later".to_owned();
    let actions: Vec<_> = store.settled().into_iter().flatten().collect();
    assert_eq!(actions[0].action, Action::RetryIn { after, error });
}
