//! How a worker ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{leases::steal, probe::Mode, *};

/// Counts how many live.
struct Lives(Arc<AtomicUsize>);

impl Lives {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handler that never ends, and how many of it live.
fn endless() -> (AnyHandler, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let handler = AnyHandler::from_fn({
        let count = Arc::clone(&count);
        move |_: Delivery<Word>| {
            let lives = Lives::new(&count);
            async move {
                std::future::pending::<()>().await;
                drop(lives);
                Ok(())
            }
        }
    });
    (handler, count)
}

#[tokio::test]
async fn a_shutdown_lets_running_handlers_finish_within_the_grace_and_leases_nothing_more() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (_, end) = told.recv().await.unwrap();
    running.stop.send(()).unwrap();
    calm().await;
    bench.insert("late").await;
    bench.turn(SECOND * 29, SECOND).await;
    assert!(!running.task.is_finished());
    assert!(told.try_recv().is_err());
    end.send(Ok(())).unwrap();
    running.task.await.unwrap();
    assert!(bench.is("word", State::Done).await);
    assert!(bench.is("late", State::Pending).await);
    assert_eq!(bench.liveness.get(), Life::Stopped);
}

#[tokio::test]
async fn an_idle_worker_ends_at_once() {
    let bench = Bench::new();
    let running = bench.handle(|_| async { Ok(()) });
    calm().await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
}

#[tokio::test]
async fn what_is_unfinished_after_the_grace_is_aborted_and_released_with_its_attempt_given_back() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, alive) = endless();
    let running = bench.run(handler);
    bench.until(|| alive.load(Ordering::Relaxed) == 1).await;
    running.stop.send(()).unwrap();
    bench.turn(SECOND * 29, SECOND).await;
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    bench
        .turn_until(SECOND, || running.task.is_finished())
        .await;
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    let after = Duration::ZERO;
    assert_eq!(bench.actions(), [Action::Release { after }]);
    let again = bench
        .store
        .inner
        .lease(&bench.queue, 1, MINUTE)
        .await
        .unwrap();
    assert_eq!((again[0].attempt, again[0].expiries), (1, 0));
}

#[tokio::test]
async fn a_shutdown_tells_how_many_handlers_it_waits_for_and_how_many_it_aborts() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("one").await;
    bench.insert("two").await;
    let (handler, alive) = endless();
    let running = bench.run(handler);
    bench.until(|| alive.load(Ordering::Relaxed) == 2).await;
    running.stop(&bench).await;
    assert_eq!(traces.count("unfinished=2"), 2, "{}", traces.text());
}

#[tokio::test]
async fn a_handler_that_panics_when_it_is_aborted_has_failed() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let bench = Bench::new();
    bench.insert("word").await;
    let started = Seen::new();
    let running = bench.handle({
        let started = started.clone();
        move |_| {
            started.push(());
            let panics = Panics;
            async move {
                std::future::pending::<()>().await;
                drop(panics);
                Ok(())
            }
        }
    });
    bench.until(|| started.len() == 1).await;
    running.stop(&bench).await;
    let [Action::RetryIn { error, .. }] = &bench.actions()[..] else {
        panic!("{:?}", bench.actions());
    };
    assert_eq!(error, "the handler panicked when it was dropped");
}

#[tokio::test]
async fn a_shutdown_waits_for_a_handler_whose_lease_was_lost() {
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    steal(&bench).await;
    bench.until(|| delivery.is_lease_lost()).await;
    running.stop.send(()).unwrap();
    bench.turn(SECOND * 20, SECOND).await;
    assert!(!running.task.is_finished());
    end.send(Ok(())).unwrap();
    running.task.await.unwrap();
}

#[tokio::test]
async fn leases_are_extended_during_the_grace() {
    let mut bench = Bench::new();
    bench.settings.shutdown_grace = MINUTE * 10;
    bench.insert("word").await;
    let (handler, mut told) = by_hand();
    let running = bench.run(handler);
    let (delivery, end) = told.recv().await.unwrap();
    running.stop.send(()).unwrap();
    bench.turn(MINUTE * 9, SECOND * 5).await;
    assert!(!delivery.is_lease_lost());
    assert!(bench.is("word", State::Leased).await);
    end.send(Ok(())).unwrap();
    running.task.await.unwrap();
    assert!(bench.is("word", State::Done).await);
}

#[tokio::test]
async fn what_a_lease_in_flight_brings_is_released_at_a_shutdown() {
    let traces = traces();
    let bench = Bench::new();
    bench.store.slow_lease();
    bench.insert("word").await;
    let running = bench.handle(|_| async { unreachable!() });
    bench.until(|| !bench.store.saw().leases.is_empty()).await;
    running.stop.send(()).unwrap();
    calm().await;
    // Longer than the grace, which nobody needs.
    bench.turn(SECOND * 45, SECOND).await;
    assert!(!running.task.is_finished());
    bench.store.let_lease();
    running.task.await.unwrap();
    assert_eq!(traces.count("unfinished"), 0, "{}", traces.text());
    let after = Duration::ZERO;
    assert_eq!(bench.actions(), [Action::Release { after }]);
    assert!(bench.is("word", State::Pending).await);
}

#[tokio::test]
async fn a_shutdown_ends_though_the_store_is_down_or_hangs() {
    for mode in [Mode::Unavailable, Mode::Hangs, Mode::Panics] {
        let traces = traces();
        let bench = Bench::new();
        bench.insert("word").await;
        let (handler, alive) = endless();
        let running = bench.run(handler);
        bench.until(|| alive.load(Ordering::Relaxed) == 1).await;
        for fault in [
            &bench.store.on_lease,
            &bench.store.on_settle,
            &bench.store.on_extend,
        ] {
            fault.set(mode);
        }
        bench.turn(SECOND * 5, SECOND).await;
        let start = bench.hands.elapsed();
        running.stop(&bench).await;
        let took = bench.hands.elapsed() - start;
        assert!(took <= SECOND * 95, "grace and one ttl: {took:?}");
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert_eq!(traces.count("could not give back"), 1, "{}", traces.text());
        assert_eq!(bench.liveness.get(), Life::Stopped);
    }
}

#[tokio::test]
async fn a_worker_that_is_dropped_before_it_ran_warns_and_is_gone() {
    let traces = traces();
    let bench = Bench::new();
    let (handler, _) = endless();
    let worker = bench.worker(handler);
    assert_eq!(bench.liveness.get(), Life::Waiting);
    drop(worker);
    assert_eq!(bench.liveness.get(), Life::Dropped);
    assert_eq!(traces.count("was dropped without being run"), 1);
    assert!(traces.text().contains("words"), "{}", traces.text());
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_no_task_behind_and_is_gone() {
    let traces = traces();
    let bench = Bench::new();
    bench.insert("word").await;
    let (handler, alive) = endless();
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let mut run = Box::pin(bench.worker(handler).run());
    tokio::select! {
        () = &mut run => unreachable!(),
        () = bench.until(|| alive.load(Ordering::Relaxed) == 1) => {}
    }
    assert_eq!(bench.liveness.get(), Life::Running);
    drop(run);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    bench.until(|| tasks() == before).await;
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(bench.liveness.get(), Life::Dropped);
    assert_eq!(traces.count("was dropped before it ended"), 1);
    let extended = bench.store.saw().extended.len();
    bench.turn(MINUTE * 2, SECOND).await;
    assert_eq!(
        bench.store.saw().extended.len(),
        extended,
        "nobody holds the lease"
    );
    let again = bench
        .store
        .inner
        .lease(&bench.queue, 1, MINUTE)
        .await
        .unwrap();
    assert_eq!((again[0].attempt, again[0].expiries), (2, 1));
}

#[tokio::test]
async fn one_worker_serves_several_endpoints_side_by_side() {
    let mut one = Bench::new();
    one.settings.concurrency = 1;
    let mut two = Bench::new();
    two.queue = Queue::events("others");
    two.store = Arc::clone(&one.store);
    two.hands = one.hands.clone();
    one.insert("stuck").await;
    for n in 0..5 {
        two.insert(&n.to_string()).await;
    }
    let (handler, mut told) = by_hand();
    let quick = AnyHandler::from_fn(|_: Delivery<Word>| async { Ok(()) });
    let running = spawn(one.worker(handler).with(two.worker(quick)));
    let (_, end) = told.recv().await.unwrap();
    for n in 0..5 {
        two.until_state(&n.to_string(), State::Done).await;
    }
    assert!(one.is("stuck", State::Leased).await);
    running.stop.send(()).unwrap();
    one.turn(SECOND * 10, SECOND).await;
    assert!(!running.task.is_finished(), "each has its grace");
    end.send(Ok(())).unwrap();
    running.task.await.unwrap();
    assert!(one.is("stuck", State::Done).await);
    for bench in [one, two] {
        assert_eq!(bench.liveness.get(), Life::Stopped);
    }
}
