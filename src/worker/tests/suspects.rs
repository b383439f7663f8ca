//! Events whose lease expired: maybe they are what ends the process.

use super::*;

/// Lets the lease of the first due event expire, as often as asked, as processes that died would.
async fn expire(bench: &Bench, times: u32) {
    for n in 0..times {
        let leased = bench.store.inner.lease(&bench.queue, 1, SECOND).await;
        assert_eq!(leased.unwrap()[0].expiries, n);
        bench.hands.advance(SECOND * 2);
    }
}

#[tokio::test]
async fn a_suspect_is_given_up_unseen_when_its_leases_expired_as_often_as_the_limit_says() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("poison").await;
    expire(&bench, 5).await;
    let running = bench.handle(|_| async { unreachable!() });
    bench.until_state("poison", State::Dead).await;
    let Some(Action::Dead { reason }) = bench.actions().pop() else {
        panic!("{:?}", bench.actions());
    };
    assert!(
        reason.contains("5 leases of this event expired"),
        "{reason}"
    );
    assert_eq!(traces.count("dead letter"), 1);
    running.stop(&bench).await;
}

#[tokio::test]
async fn a_suspect_below_the_limit_is_handled() {
    let bench = Bench::new();
    bench.insert("word").await;
    expire(&bench, 4).await;
    let running = bench.handle(|delivery| async move {
        assert_eq!(delivery.attempt(), 5);
        Ok(())
    });
    bench.until_state("word", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn suspects_run_one_at_a_time_and_step_aside_for_new_work() {
    let bench = Bench::new();
    bench.insert("suspect 1").await;
    expire(&bench, 1).await;
    bench.insert("suspect 2").await;
    // The first one is due earlier: it is leased for longer, so that only the second expires.
    let first = bench.store.inner.lease(&bench.queue, 1, SECOND * 2).await;
    assert_eq!(first.unwrap()[0].key, "suspect 1");
    expire(&bench, 1).await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    bench.turn_until(SECOND, || !told.is_empty()).await;
    let (one, end_one) = told.recv().await.unwrap();
    bench.insert("new").await;
    bench.turn(SECOND * 30, SECOND).await;
    let (new, end_new) = told.recv().await.unwrap();
    assert_eq!(new.event.0, "new");
    assert!(
        told.try_recv().is_err(),
        "the second suspect waits for the first"
    );
    let after = bench.settings.idle_poll;
    let aside = bench.actions().len();
    assert_eq!(bench.actions(), vec![Action::Release { after }; aside]);
    assert!((10..=32).contains(&aside), "about once a second: {aside}");
    end_new.send(Ok(())).unwrap();
    end_one.send(Ok(())).unwrap();
    bench.turn_until(SECOND, || !told.is_empty()).await;
    let (two, end_two) = told.recv().await.unwrap();
    assert_ne!(one.event, two.event);
    assert_eq!(
        (
            one.attempt() + two.attempt(),
            two.event.0.starts_with("suspect")
        ),
        (3 + 2, true),
        "stepping aside is no attempt",
    );
    end_two.send(Ok(())).unwrap();
    bench.until_state("suspect 1", State::Done).await;
    bench.until_state("suspect 2", State::Done).await;
    running.stop(&bench).await;
}

#[tokio::test]
async fn what_is_due_behind_a_suspect_is_leased_at_once() {
    let bench = Bench::new();
    bench.insert("suspect").await;
    expire(&bench, 1).await;
    for n in 0..3 {
        bench.insert(&n.to_string()).await;
    }
    let (handler, mut told) = by_hand();
    // Nothing wakes it.
    bench.wake.notified().await;
    let running = bench.run(handler);
    bench.until(|| told.len() == 4).await;
    assert_eq!(bench.store.saw().leases[0], (16, 1));
    while let Ok((_, end)) = told.try_recv() {
        end.send(Ok(())).unwrap();
    }
    running.stop(&bench).await;
}
