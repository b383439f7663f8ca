//! Any schedule: events that come at any time, handlers of any length and end, a store that fails for a
//! while, workers that stop, are dropped, and are followed by others.
//!
//! One thread and a clock that is turned by hand: a seed is a schedule, and comes again. `SEEDS=…` tries
//! more.

use fastrand::Rng;
use tokio::task::yield_now;

use super::{dropped::Books, probe::Mode, *};
use crate::testing::dropped::seeds;

/// Attempts that may fail before a handler is content.
const FAILURES: u32 = 3;

#[test]
fn under_any_schedule_every_event_is_handled_never_twice_at_once_and_never_after_its_success() {
    for seed in 0..seeds(150) {
        let play = std::panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(play(seed));
        });
        assert!(std::panic::catch_unwind(play).is_ok(), "seed {seed}");
    }
}

/// A handler whose every attempt takes another time, and ends another way.
fn handler(bench: &Bench, books: &Books, rng: &mut Rng) -> AnyHandler {
    let dice = Arc::new(Mutex::new(rng.fork()));
    let (books, clock) = (books.clone(), bench.hands.clock());
    let (store, queue) = (Arc::clone(&bench.store), bench.queue.clone());
    AnyHandler::from_fn(move |delivery: Delivery<Word>| {
        let attempt = delivery.attempt();
        let Word(word) = delivery.event;
        let at_work = books.begin(&word);
        let (steps, seconds, end) = {
            let mut dice = dice.lock().unwrap();
            (dice.u8(0..12), dice.u64(0..100), dice.u8(0..4))
        };
        let (books, clock) = (books.clone(), clock.clone());
        let (store, queue) = (Arc::clone(&store), queue.clone());
        async move {
            let found = store.inner.find(&queue, word.as_bytes()).await;
            let state = found.unwrap().unwrap().state;
            if state != State::Leased {
                books.complain(format!("{word} is handled while it is {state:?}"));
            }
            for _ in 0..steps {
                yield_now().await;
            }
            if seconds > 60 {
                clock.sleep(SECOND * (seconds as u32 - 60)).await;
            }
            match end {
                0 if attempt <= FAILURES => Err("not yet".into()),
                1 if attempt <= FAILURES => panic!("a bug in the handler"),
                _ => {
                    at_work.succeeds();
                    Ok(())
                }
            }
        }
    })
}

async fn play(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut bench = Bench::new();
    bench.settings.concurrency = rng.usize(1..5);
    bench.settings.suspect_limit = u32::MAX;
    bench.settings.retry = bench.settings.retry.with_max_delay(SECOND * 5);
    bench.store.dawdle(rng.fork());
    let books = Books::default();
    let mut words = Vec::new();
    let mut abandoned = false;
    let mut running = Some(bench.run(handler(&bench, &books, &mut rng)));

    for _ in 0..rng.usize(20..80) {
        match rng.u8(0..16) {
            0..4 => {
                let word = format!("word-{}", rng.u8(0..12));
                bench.insert(&word).await;
                words.push(word);
            }
            4..8 => {
                for _ in 0..rng.usize(0..20) {
                    yield_now().await;
                }
            }
            8..12 => {
                // Less than the time between two beats of the leases, which must not be late.
                calm().await;
                bench.hands.advance(Duration::from_millis(rng.u64(0..6000)));
                calm().await;
            }
            12 => {
                let mode = rng.choice([Mode::Unavailable, Mode::Panics, Mode::Hangs]);
                bench.store.on_lease.set(mode.unwrap());
            }
            13 => {
                let modes = [Mode::Unavailable, Mode::Panics, Mode::Ambiguous, Mode::Busy];
                bench.store.on_settle.set(rng.choice(modes).unwrap());
            }
            14 => mend(&bench),
            _ => {
                let Some(old) = running.take() else {
                    running = Some(bench.run(handler(&bench, &books, &mut rng)));
                    continue;
                };
                if rng.bool() {
                    old.task.abort();
                    let _ = old.task.await;
                    abandoned = true;
                } else {
                    mend(&bench);
                    old.stop(&bench).await;
                    for word in &words {
                        // What a dropped one held waits for the end of its lease.
                        let leased = bench.is(word, State::Leased).await;
                        assert!(abandoned || !leased, "{word} is left leased");
                    }
                }
                calm().await;
                assert_eq!(books.running(), 0, "a handler outlives its worker");
            }
        }
        assert!(books.running() <= bench.settings.concurrency);
    }

    mend(&bench);
    let last = match running {
        Some(running) => running,
        None => bench.run(handler(&bench, &books, &mut rng)),
    };
    for word in &words {
        for _ in 0..400 {
            if bench.is(word, State::Done).await {
                break;
            }
            bench.turn(SECOND * 5, SECOND * 5).await;
        }
        let found = bench.find(word).await;
        assert_eq!(found.state, State::Done, "{word} is lost");
        assert!(books.of(word).succeeded >= 1, "{word} was never handled");
    }
    last.stop(&bench).await;
    assert_eq!(books.complaints(), [""; 0]);
}

fn mend(bench: &Bench) {
    bench.store.on_lease.mend();
    bench.store.on_settle.mend();
}
