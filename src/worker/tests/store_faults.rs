//! A store that fails, hangs or panics ends no worker.

use std::sync::atomic::Ordering;

use super::{probe::Mode, *};

#[tokio::test]
async fn a_store_that_cannot_lease_is_told_of_once_and_asked_again_ever_later() {
    for mode in [Mode::Unavailable, Mode::Rejected, Mode::Panics] {
        let traces = traces();
        let bench = Bench::new();
        bench.insert("word").await;
        bench.store.on_lease.set(mode);
        let running = bench.handle(|_| async { Ok(()) });
        bench.turn(MINUTE * 2, SECOND / 10).await;
        let tries = bench.store.saw().leases.len();
        assert!((10..60).contains(&tries), "{tries}");
        assert_eq!(traces.count("nothing could be leased"), 1);
        bench.store.on_lease.mend();
        bench
            .turn_until(SECOND, || !bench.actions().is_empty())
            .await;
        bench.until_state("word", State::Done).await;
        running.stop(&bench).await;
    }
}

#[tokio::test]
async fn a_lease_call_that_hangs_is_given_up_after_the_ttl_while_the_rest_goes_on() {
    let mut bench = Bench::new();
    bench.settings.concurrency = 2;
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (_, end) = told.recv().await.unwrap();
    bench.store.on_lease.set(Mode::Hangs);
    bench
        .turn_until(SECOND, || bench.store.saw().leases.len() >= 2)
        .await;
    end.send(Ok(())).unwrap();
    bench.until_state("word", State::Done).await;
    bench.insert("next").await;
    bench.store.on_lease.mend();
    bench.turn_until(SECOND, || !told.is_empty()).await;
    drop(told);
    running.stop(&bench).await;
}

#[tokio::test]
async fn what_the_store_fails_to_settle_is_settled_later() {
    for (mode, told) in [
        (Mode::Unavailable, 1),
        (Mode::Panics, 1),
        (Mode::Busy, 0),
        (Mode::Ambiguous, 1),
        (Mode::Short, 1),
    ] {
        let traces = traces();
        let bench = Bench::new();
        bench.insert("a").await;
        bench.insert("b").await;
        bench.store.on_settle.set(mode);
        let seen = Seen::new();
        let running = bench.handle({
            let seen = seen.clone();
            move |delivery| {
                seen.push(delivery.event.0);
                async { Ok(()) }
            }
        });
        bench.turn(MINUTE * 3, SECOND).await;
        assert_eq!(traces.count("could not be settled"), told);
        bench.store.on_settle.mend();
        bench.turn(SECOND * 20, SECOND).await;
        for key in ["a", "b"] {
            assert!(bench.is(key, State::Done).await);
        }
        assert_eq!(seen.all(), ["a", "b"], "handled once");
        running.stop(&bench).await;
    }
}

#[tokio::test]
async fn a_settlement_is_tried_again_ever_later_but_some_times_within_a_lease() {
    // A lease of so long, and how many tries in a minute.
    for (mode, ttl, tries) in [
        (Mode::Unavailable, SECOND * 12, 30..70),
        (Mode::Unavailable, MINUTE * 60, 8..25),
        (Mode::Busy, SECOND * 6 / 5, 300..650),
        (Mode::Busy, MINUTE, 60..140),
    ] {
        let mut bench = Bench::new();
        bench.settings.lease_ttl = ttl;
        bench.insert("word").await;
        bench.store.on_settle.set(mode);
        let running = bench.handle(|_| async { Ok(()) });
        bench.turn(MINUTE, SECOND / 50).await;
        let tried = bench.store.on_settle.calls();
        assert!(tries.contains(&tried), "{tried} of {tries:?}");
        // Once it went well, the next failure is tried again as soon as the first was.
        bench.store.on_settle.mend();
        bench
            .turn_until(SECOND / 50, || bench.store.on_settle.calls() > tried)
            .await;
        bench.until_state("word", State::Done).await;
        bench.store.on_settle.set(mode);
        bench.insert("other").await;
        let before = bench.store.on_settle.calls();
        bench.turn(SECOND * 2 / 5, SECOND / 50).await;
        assert!(bench.store.on_settle.calls() > before + 1);
        bench.store.on_settle.mend();
        running.stop(&bench).await;
    }
}

#[tokio::test]
async fn one_settlement_that_the_store_rejects_does_not_keep_its_neighbours() {
    let traces = traces();
    let bench = Bench::new();
    for n in 0..16 {
        bench.insert(&n.to_string()).await;
    }
    bench.store.on_settle.set(Mode::RejectsOne("bad"));
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(told.recv().await.unwrap());
    }
    for (delivery, end) in open {
        let result = match delivery.event.0.as_str() {
            "7" => Err("bad".into()),
            _ => Ok(()),
        };
        end.send(result).unwrap();
    }
    bench
        .turn_until(SECOND, || bench.actions().len() == 15)
        .await;
    bench
        .turn_until(SECOND, || traces.count("will not settle") == 1)
        .await;
    assert!(bench.is("7", State::Leased).await);
    drop(told);
    running.stop(&bench).await;
}

#[tokio::test]
async fn while_nothing_can_be_settled_no_more_than_a_few_leases_per_handler_are_held() {
    let mut bench = Bench::new();
    bench.settings.concurrency = 2;
    bench.store.on_settle.set(Mode::Unavailable);
    let seen = Seen::new();
    let running = bench.handle({
        let seen = seen.clone();
        move |_| {
            seen.push(());
            async { Ok(()) }
        }
    });
    // One alone, so that in the end there is room for one, and not for two.
    bench.insert("0").await;
    bench.until(|| seen.len() == 1).await;
    for n in 1..100 {
        bench.insert(&n.to_string()).await;
    }
    bench.turn(MINUTE * 10, SECOND).await;
    assert_eq!(seen.len(), 8);
    bench.store.on_settle.mend();
    bench
        .turn_until(SECOND, || bench.actions().len() == 100)
        .await;
    assert_eq!(seen.len(), 100);
    running.stop(&bench).await;
}

#[tokio::test]
async fn an_idle_worker_looks_when_it_is_woken_when_the_store_changed_and_after_a_while() {
    let bench = Bench::new();
    let running = bench.handle(|_| async { Ok(()) });
    calm().await;
    let leases = || bench.store.saw().leases.len();
    assert_eq!(leases(), 1);
    bench.wake.notify_one();
    calm().await;
    assert_eq!(leases(), 2);
    for n in 3..6 {
        bench.store.changed.notify_one();
        calm().await;
        assert_eq!(leases(), n);
    }
    bench.hands.advance(SECOND - Duration::from_millis(1));
    calm().await;
    assert_eq!(leases(), 5, "nothing happened");
    bench.hands.advance(SECOND / 5);
    calm().await;
    assert_eq!(leases(), 6);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_store_that_panics_when_it_should_tell_of_changes_is_polled() {
    let bench = Bench::new();
    bench.store.on_changed.set(Mode::Panics);
    let running = bench.handle(|_| async { Ok(()) });
    calm().await;
    let leases = bench.store.saw().leases.len();
    assert!(leases < 5, "no busy loop: {leases}");
    bench.insert("word").await;
    bench.until_state("word", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn batches_that_come_back_full_are_followed_at_once() {
    let mut bench = Bench::new();
    bench.settings.concurrency = 4;
    for n in 0..40 {
        bench.insert(&n.to_string()).await;
    }
    let running = bench.handle(|_| async { Ok(()) });
    bench.until(|| bench.actions().len() == 40).await;
    assert_eq!(bench.hands.elapsed(), Duration::ZERO);
    running.stop(&bench).await;
}

#[tokio::test]
async fn the_store_is_purged_every_minute_or_so_until_nothing_is_left_to_purge() {
    let bench = Bench::new();
    bench.store.to_purge.store(5, Ordering::Relaxed);
    let running = bench.handle(|_| async { Ok(()) });
    bench.turn(SECOND * 59, SECOND).await;
    assert_eq!(bench.store.saw().purges, []);
    bench.turn(SECOND * 12, SECOND).await;
    assert_eq!(bench.store.saw().purges, [Retention::default(); 6]);
    for mode in [Mode::Unavailable, Mode::Panics, Mode::Hangs] {
        bench.store.on_purge.set(mode);
        bench.turn(MINUTE * 5, SECOND).await;
        bench.store.on_purge.mend();
        let purges = bench.store.saw().purges.len();
        bench.turn(MINUTE * 5, SECOND).await;
        assert!(bench.store.saw().purges.len() >= purges + 3);
    }
    running.stop(&bench).await;
}

#[tokio::test]
async fn of_endpoints_on_one_store_the_longer_retention_of_each_kind_wins() {
    let bench = Bench::new();
    let mut other = Bench::new();
    other.hands = bench.hands.clone();
    other.store = Arc::clone(&bench.store);
    other.queue = Queue::events("others");
    let short = Retention::default()
        .with_keys(MINUTE * 10)
        .with_bodies(MINUTE * 30);
    let long = Retention::default()
        .with_keys(MINUTE * 60)
        .with_bodies(MINUTE * 5);
    let longest = short.with_keys(MINUTE * 60);
    for (first, second) in [(short, long), (long, short)] {
        let (bench, other) = (bench.with_retention(first), other.with_retention(second));
        let handler = || AnyHandler::from_fn(|_: Delivery<Word>| async { Ok(()) });
        let running = spawn(bench.worker(handler()).with(other.worker(handler())));
        let key = format!("{:?}", first.keys);
        bench.insert(&key).await;
        bench.until_state(&key, State::Done).await;
        bench.store.saw().purges.clear();
        bench.turn(MINUTE * 40, SECOND).await;
        assert!(bench.is(&key, State::Done).await);
        let purges = bench.store.saw().purges.clone();
        assert!(purges.len() >= 60, "{}", purges.len());
        assert!(purges.iter().all(|purge| *purge == longest), "{purges:?}");
        running.stop(&bench).await;
    }
}
