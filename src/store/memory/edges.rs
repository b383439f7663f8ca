//! When something is due, at the edges of time.

use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime;

use super::MemoryStore;
use crate::{
    clock::{Clock, ManualClock},
    store::{
        Action, Inbox, Inserted, Leased, NewRecord, Queue, Retention, Settlement, State, Store,
    },
    testing::edges::duration,
};

/// A store with one record, on a clock that was turned so far before.
struct Bench {
    hands: ManualClock,
    store: MemoryStore,
    queue: Queue,
    start: Duration,
}

impl Bench {
    async fn new(start: Duration, due_in: Duration) -> Self {
        let hands = Clock::manual();
        hands.advance(start);
        let store = MemoryStore::with_clock(&hands);
        let queue = Queue::events("words");
        let record = NewRecord::new(queue.clone(), "key", "body").with_due_in(due_in);
        assert_eq!(store.insert(&[record]).await.unwrap(), [Inserted::Fresh]);
        Self {
            hands,
            store,
            queue,
            start,
        }
    }

    /// Turns the clock, and answers how much that was: it ends at the longest of all durations.
    fn turn(&self, by: Duration) -> Duration {
        let before = self.hands.elapsed();
        self.hands.advance(by);
        self.hands.elapsed() - before
    }

    /// Whether so much time is over, as far as a clock that ends can tell.
    fn is_over(&self, turned: Duration, wait: Duration) -> bool {
        self.start.saturating_add(turned) >= self.start.saturating_add(wait)
    }

    async fn lease(&self, ttl: Duration) -> Option<Leased> {
        self.store.lease(&self.queue, 1, ttl).await.unwrap().pop()
    }

    async fn settle(&self, leased: Leased, action: Action) {
        let settlement = Settlement::new(leased.lease, action);
        self.store.settle(&[settlement]).await.unwrap();
    }
}

fn now<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

const LONG: Duration = Duration::MAX;

/// What is settled is remembered by ticks, of which there are enough for 142 years.
const TICK: Duration = Duration::from_micros(16);
const SETTLED: Duration = Duration::from_secs(70 * 365 * 24 * 60 * 60);

fn is_on_tick(time: Duration) -> bool {
    time.as_nanos().is_multiple_of(TICK.as_nanos())
}

proptest! {
    #[test]
    fn what_is_put_off_is_leased_when_it_is_due_and_not_before(
        start in duration(),
        wait in duration(),
        turn in duration(),
        retried in any::<bool>(),
        released in any::<bool>(),
    ) {
        now(async {
            let bench = Bench::new(start, if retried { Duration::ZERO } else { wait }).await;
            if retried {
                let leased = bench.lease(LONG).await.unwrap();
                let action = match released {
                    true => Action::Release { after: wait },
                    false => Action::RetryIn { after: wait, error: "not yet".into() },
                };
                bench.settle(leased, action).await;
            }
            let turned = bench.turn(turn);
            let due = bench.is_over(turned, wait);
            assert_eq!(bench.lease(LONG).await.is_some(), due);
        });
    }

    #[test]
    fn a_lease_holds_until_it_ends_and_no_longer(
        start in duration(),
        ttl in duration(),
        turn in duration(),
        extended in proptest::option::of(duration()),
    ) {
        now(async {
            let bench = Bench::new(start, Duration::ZERO).await;
            let leased = bench.lease(ttl).await.unwrap();
            let mut end = ttl;
            if let Some(ttl) = extended {
                bench.settle(leased, Action::Extend { ttl }).await;
                end = ttl;
            }
            let turned = bench.turn(turn);
            // A moment at least.
            let over = bench.is_over(turned, end.max(Duration::from_nanos(1)));
            assert_eq!(bench.lease(LONG).await.is_some(), over);
        });
    }

    #[test]
    fn what_is_settled_is_kept_as_long_as_it_is_said_and_no_longer(
        start in duration(),
        turn in duration(),
        retention in [duration(), duration(), duration(), duration()],
        done in any::<bool>(),
    ) {
        let [bodies, keys, dead, quarantine] = retention;
        let retention = Retention { bodies, keys, dead, quarantine };
        now(async {
            let bench = Bench::new(start.min(SETTLED), Duration::ZERO).await;
            let leased = bench.lease(LONG).await.unwrap();
            let action = match done {
                true => Action::Done,
                false => Action::Dead { reason: "no".into() },
            };
            bench.settle(leased, action).await;
            let age = bench.turn(turn.min(SETTLED));
            // Counted from the tick before.
            let is_kept = |span| age + TICK <= span || age < span && is_on_tick(bench.start);
            bench.store.purge(&retention).await.unwrap();
            let found = bench.store.find(&bench.queue, b"key").await.unwrap();
            let all = if done { keys } else { dead };
            assert!(found.is_none() || age < all, "kept for too long");
            assert!(found.is_some() || !is_kept(all), "forgotten too early");
            if let Some(found) = found {
                let state = if done { State::Done } else { State::Dead };
                assert_eq!(found.state, state);
                let kept = found.body.is_some();
                assert!(!kept || !done || age < bodies, "kept for too long");
                assert!(kept || done && !is_kept(bodies), "forgotten too early");
            }
        });
    }

    #[test]
    fn nothing_pending_is_ever_purged(
        start in duration(),
        due_in in duration(),
        turn in duration(),
        leased in any::<bool>(),
    ) {
        now(async {
            let bench = Bench::new(start, due_in).await;
            if leased {
                let _ = bench.lease(Duration::from_secs(1)).await;
            }
            bench.turn(turn);
            let none = Duration::ZERO;
            let retention = Retention { bodies: none, keys: none, dead: none, quarantine: none };
            bench.store.purge(&retention).await.unwrap();
            let found = bench.store.find(&bench.queue, b"key").await.unwrap();
            assert!(found.is_some_and(|found| found.body.is_some()));
        });
    }
}
