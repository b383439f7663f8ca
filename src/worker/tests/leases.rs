//! Leases are held until what they are for was settled.

use super::{probe::Mode, *};
use crate::store::Settlement;

/// Leases the record as another worker would, once its lease has expired.
pub(super) async fn steal(bench: &Bench) {
    bench.hands.advance(MINUTE + SECOND);
    let stolen = bench
        .store
        .inner
        .lease(&bench.queue, 1, MINUTE * 60)
        .await
        .unwrap();
    assert_eq!(stolen.len(), 1, "the lease had expired");
}

#[tokio::test]
async fn a_lease_is_extended_for_as_long_as_the_handler_runs() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    bench.turn(MINUTE * 60, SECOND * 5).await;
    assert!(bench.is("word", State::Leased).await);
    assert!(!delivery.is_lease_lost());
    assert!(told.try_recv().is_err());
    let extended = bench.store.saw().extended.len();
    assert!(
        (150..=180).contains(&extended),
        "every third of the ttl: {extended}"
    );
    end.send(Ok(())).unwrap();
    bench.until_state("word", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_lease_is_extended_while_its_settlement_waits_for_the_store() {
    let bench = Bench::new();
    bench.insert("word").await;
    bench.store.on_settle.set(Mode::Unavailable);
    let seen = Seen::new();
    let running = bench.handle({
        let seen = seen.clone();
        move |_| {
            seen.push(());
            async { Ok(()) }
        }
    });
    bench.turn(MINUTE * 60, SECOND * 5).await;
    assert!(bench.is("word", State::Leased).await);
    bench.store.on_settle.mend();
    bench
        .turn_until(SECOND, || !bench.actions().is_empty())
        .await;
    bench.until_state("word", State::Done).await;
    assert_eq!(seen.len(), 1);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_lease_is_extended_while_a_settle_call_hangs() {
    let bench = Bench::new();
    bench.insert("word").await;
    bench.store.on_settle.set(Mode::Hangs);
    let running = bench.handle(|_| async { Ok(()) });
    bench.turn(MINUTE * 10, SECOND * 5).await;
    assert!(bench.is("word", State::Leased).await);
    bench.store.on_settle.mend();
    bench
        .turn_until(SECOND, || !bench.actions().is_empty())
        .await;
    bench.until_state("word", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_extension_that_fails_or_finds_the_row_busy_is_tried_again_before_the_lease_expires() {
    for mode in [Mode::Unavailable, Mode::Busy, Mode::Panics, Mode::Hangs] {
        let bench = Bench::new();
        bench.insert("word").await;
        let (handler, mut told) = by_hand();
        let running = bench.run(handler);
        let (delivery, end) = told.recv().await.unwrap();
        bench.store.on_extend.set(mode);
        bench.turn(SECOND * 50, SECOND).await;
        bench.store.on_extend.mend();
        bench.turn(SECOND * 15, SECOND).await;
        assert!(!delivery.is_lease_lost());
        let leased_by = bench.store.inner.lease(&bench.queue, 1, SECOND).await;
        assert_eq!(leased_by.unwrap().len(), 0, "the lease still holds");
        end.send(Ok(())).unwrap();
        bench.until_state("word", State::Done).await;
        running.stop(&bench).await;
    }
}

#[tokio::test]
async fn a_short_lease_is_extended_before_it_expires_though_that_failed_many_times() {
    let mut bench = Bench::new();
    bench.settings.lease_ttl = SECOND * 12;
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    bench.store.on_extend.set(Mode::Unavailable);
    bench.turn(SECOND * 21 / 2, SECOND / 10).await;
    bench.store.on_extend.mend();
    bench.turn(SECOND * 5 / 2, SECOND / 10).await;
    assert!(!delivery.is_lease_lost());
    let leased_by = bench.store.inner.lease(&bench.queue, 1, SECOND).await;
    assert_eq!(leased_by.unwrap().len(), 0, "the lease still holds");
    end.send(Ok(())).unwrap();
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_extension_that_fails_is_tried_again_some_times_within_a_lease() {
    let mut bench = Bench::new();
    bench.settings.lease_ttl = SECOND * 12;
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let _told = told.recv().await.unwrap();
    bench.store.on_extend.set(Mode::Unavailable);
    bench.turn(MINUTE, SECOND / 10).await;
    let tried = bench.store.on_extend.calls();
    assert!((50..125).contains(&tried), "{tried}");
    bench.store.on_extend.mend();
    running.stop(&bench).await;
}

#[tokio::test]
async fn after_a_batch_that_was_not_full_there_must_be_a_reason_to_lease_again() {
    let bench = Bench::new();
    // Which is one reason.
    bench.insert("word").await;
    let running = bench.handle(|_| async { Ok(()) });
    bench.until_state("word", State::Done).await;
    calm().await;
    let came = |lease: &(usize, usize)| lease.1;
    let leases: Vec<_> = bench.store.saw().leases.iter().map(came).collect();
    assert_eq!(leases, [1, 0]);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_lost_lease_is_told_to_the_handler_and_its_result_changes_nothing() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    let lost = tokio::spawn(delivery.lease_lost());
    steal(&bench).await;
    bench.until(|| lost.is_finished()).await;
    assert!(delivery.is_lease_lost());
    assert_eq!(traces.count("a lease was lost"), 1);
    assert!(traces.text().contains("key=\"word\""), "{}", traces.text());
    end.send(Ok(())).unwrap();
    bench.turn(SECOND * 5, SECOND).await;
    assert_eq!(bench.actions(), []);
    assert!(bench.is("word", State::Leased).await, "it is the other's");
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_settlement_under_a_lost_lease_is_refused_and_warned_of() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (_, end) = told.recv().await.unwrap();
    bench.store.on_extend.set(Mode::Hangs);
    steal(&bench).await;
    end.send(Ok(())).unwrap();
    bench
        .until(|| traces.count("a lease was lost before") == 1)
        .await;
    assert!(bench.is("word", State::Leased).await, "it is the other's");
    assert_eq!(bench.actions(), [Action::Done]);
    running.stop(&bench).await;
}

#[tokio::test]
async fn what_ended_while_the_store_hung_is_not_settled_when_its_lease_was_lost_meanwhile() {
    let bench = Bench::new();
    bench.insert("word").await;
    bench.insert("other").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (first, end) = told.recv().await.unwrap();
    let (_, end_other) = told.recv().await.unwrap();
    // The other's settlement hangs, so that the first one waits behind it.
    bench.store.on_settle.set(Mode::Hangs);
    end_other.send(Ok(())).unwrap();
    calm().await;
    end.send(Ok(())).unwrap();
    calm().await;
    bench.store.on_extend.set(Mode::Unavailable);
    bench.turn(SECOND * 50, SECOND).await;
    bench.hands.advance(SECOND * 11);
    let stolen = bench.store.inner.lease(&bench.queue, 2, MINUTE * 60);
    let stolen = stolen.await.unwrap();
    assert_eq!(stolen.len(), 1, "a suspect comes alone");
    assert_eq!(stolen[0].key, first.key());
    bench.store.on_extend.mend();
    bench.until(|| first.is_lease_lost()).await;
    bench.store.on_settle.mend();
    bench
        .turn_until(SECOND, || !bench.actions().is_empty())
        .await;
    bench.turn(SECOND * 5, SECOND).await;
    let keys: Vec<_> = bench.store.settled().concat();
    assert!(
        keys.iter().all(|s: &Settlement| s.lease != *first.lease()),
        "{keys:?}"
    );
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_extension_that_comes_after_the_settlement_is_no_lost_lease() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    // It is applied, but the worker does not know: the heartbeat meets a settled record.
    bench.store.on_settle.set(Mode::Ambiguous);
    let running = bench.handle(|_| async { Ok(()) });
    bench.until_state("word", State::Done).await;
    bench.turn(MINUTE * 5, SECOND).await;
    assert!(!bench.store.saw().extended.is_empty());
    bench.store.on_settle.mend();
    running.stop(&bench).await;
    assert_eq!(traces.count("a lease was lost"), 0, "{}", traces.text());
    assert_eq!(traces.count("the worker ends with leases"), 0);
}

#[tokio::test]
async fn a_watch_on_the_lease_ends_with_the_delivery() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    let watch = tokio::spawn(delivery.lease_lost());
    calm().await;
    assert!(!watch.is_finished());
    end.send(Ok(())).unwrap();
    bench.until(|| watch.is_finished()).await;
    running.stop(&bench).await;
}

/// As the `complete` of a store with transactions does it.
async fn complete(bench: &Bench, delivery: &Delivery<Word>, commit: bool) {
    delivery.lease().mark_completing();
    if commit {
        let done = Settlement::new(delivery.lease().clone(), Action::Done);
        bench.store.inner.settle(&[done]).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_after_a_committed_completion_changes_nothing() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    complete(&bench, &delivery, true).await;
    bench.turn(MINUTE * 2, SECOND).await;
    assert!(!delivery.is_lease_lost(), "a completed lease is not lost");
    bench.store.on_find.set(Mode::Unavailable);
    end.send(Err("too late".into())).unwrap();
    bench.turn(MINUTE, SECOND).await;
    bench.store.on_find.mend();
    bench.turn(MINUTE, SECOND).await;
    assert!(bench.is("word", State::Done).await);
    assert_eq!(bench.actions(), [], "the worker settles nothing itself");
    assert_eq!(traces.count("a lease was lost"), 0, "{}", traces.text());
    running.stop(&bench).await;
    assert_eq!(traces.count("the worker ends with leases"), 0);
}

#[tokio::test]
async fn an_ok_after_a_completion_that_was_rolled_back_is_a_failed_attempt() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    complete(&bench, &delivery, false).await;
    end.send(Ok(())).unwrap();
    bench.until(|| !bench.actions().is_empty()).await;
    let Action::RetryIn { error, .. } = &bench.actions()[0] else {
        panic!("{:?}", bench.actions());
    };
    assert_eq!(
        error,
        "the transaction that completes the event was not committed"
    );
    running.stop(&bench).await;
}

#[tokio::test]
async fn several_completions_are_asked_for_at_the_same_time() {
    let bench = Bench::new();
    for word in ["one", "two", "three"] {
        bench.insert(word).await;
    }
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    bench.store.slow_find();
    let mut ends = Vec::new();
    for commit in [true, false, true] {
        let (delivery, end) = told.recv().await.unwrap();
        complete(&bench, &delivery, commit).await;
        ends.push(end);
    }
    for end in ends {
        end.send(Ok(())).unwrap();
    }
    bench.until(|| bench.store.saw().finds == 3).await;
    assert_eq!(bench.actions(), [], "nobody has answered");
    bench.store.let_find(3);
    bench.until(|| !bench.actions().is_empty()).await;
    let actions = bench.actions();
    assert!(
        matches!(&actions[..], [Action::RetryIn { .. }]),
        "one was not committed: {actions:?}"
    );
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_better_event_after_a_completion_is_no_lost_lease() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    bench.store.slow_find();
    let (delivery, end) = told.recv().await.unwrap();
    complete(&bench, &delivery, true).await;
    end.send(Ok(())).unwrap();
    bench.until(|| bench.store.saw().finds == 1).await;
    bench.insert_as("word", "better", 1).await;
    let (better, end) = told.recv().await.unwrap();
    complete(&bench, &better, true).await;
    bench.store.let_find(2);
    bench.until(|| bench.actions().len() == 1).await;
    assert!(matches!(bench.actions()[..], [Action::RetryIn { .. }]));
    end.send(Ok(())).unwrap();
    bench.until(|| bench.store.saw().finds == 2).await;
    assert!(bench.is("word", State::Done).await);
    assert_eq!(bench.find("word").await.rank, 1);
    running.stop(&bench).await;
    assert_eq!(traces.count("a lease was lost"), 0, "{}", traces.text());
}
