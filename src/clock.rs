//! Time, as everything outside the stores sees it: real, faster, or turned by hand.

mod timeout;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

/// The clock of an endpoint: its deadlines, retries and intervals run on it.
///
/// [`Clock::system`] is the default. [`Clock::scaled`] lets a demonstration or a test live hours in
/// seconds; [`Clock::manual`] gives a clock that stands still until it is turned.
///
/// Stores keep a clock of their own (a database has one for all its clients), and only durations
/// cross the border: on a scaled clock they are converted first, so that two minutes become two
/// seconds of the store's clock at `scaled(60)`.
///
/// Tokio's paused time is not used: it fires timeouts early while a socket or a database thread is
/// at work, because it cannot see that somebody is.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System,
    Scaled {
        factor: u32,
        origin: Instant,
        origin_wall: SystemTime,
    },
    Manual(ManualClock),
}

impl Clock {
    /// Real time.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// Time that runs `factor` times as fast as real time, from now on. A factor of zero counts as one.
    pub fn scaled(factor: u32) -> Self {
        Self(Kind::Scaled {
            factor: factor.max(1),
            origin: Instant::now(),
            origin_wall: SystemTime::now(),
        })
    }

    /// A clock that moves only when it is told to.
    ///
    /// It goes with [`MemoryStore::with_clock`](crate::store::MemoryStore::with_clock) alone: every
    /// other store has a clock that nobody can turn, and `build` says so.
    pub fn manual() -> ManualClock {
        ManualClock {
            start: SystemTime::now(),
            elapsed: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// The time of day on this clock.
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Kind::System => SystemTime::now(),
            Kind::Scaled {
                factor,
                origin,
                origin_wall,
            } => later(*origin_wall, origin.elapsed().saturating_mul(*factor)),
            Kind::Manual(manual) => later(manual.start, *manual.elapsed.borrow()),
        }
    }

    /// Waits for `duration` of this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System => tokio::time::sleep(duration).await,
            Kind::Scaled { factor, .. } => tokio::time::sleep(duration / *factor).await,
            Kind::Manual(manual) => manual.sleep(duration).await,
        }
    }

    /// Waits for a time of day on this clock, and never past it: unlike a [`sleep`](Self::sleep) for
    /// what is left, it cannot miss a turn of the hands between the two.
    #[cfg(feature = "testing")]
    pub(crate) async fn sleep_until(&self, due: SystemTime) {
        match &self.0 {
            Kind::System | Kind::Scaled { .. } => {
                let left = due.duration_since(self.now()).unwrap_or_default();
                self.sleep(left).await;
            }
            Kind::Manual(manual) => {
                let due = due.duration_since(manual.start).unwrap_or_default();
                manual.sleep_until(due).await;
            }
        }
    }

    /// Waits until so much time has passed since a stopwatch of this clock was started, and never past
    /// it: a turn of the hands just before cannot be missed.
    #[cfg(feature = "client")]
    pub(crate) async fn sleep_since(&self, stopwatch: &Stopwatch, due: Duration) {
        match (&self.0, &stopwatch.0) {
            (Kind::Manual(manual), Start::Manual(start)) => {
                manual.sleep_until(start.saturating_add(due)).await;
            }
            _ => {
                let left = due.saturating_sub(self.elapsed(stopwatch));
                self.sleep(left).await;
            }
        }
    }

    /// Runs `future` for at most `limit` of this clock; `None` when the time was up first. It counts from
    /// when the future first has to wait.
    pub(crate) fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> {
        self.timeout_of(move || limit, future)
    }

    /// The same for a limit that is asked for when the future first has to wait, and not at all if it
    /// never does.
    pub(crate) fn timeout_of<F: Future>(
        &self,
        limit: impl FnOnce() -> Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> {
        timeout::timeout(future, move || self.sleep(limit()))
    }

    /// What a duration of this clock is on the clock of a store.
    pub(crate) fn to_store(&self, duration: Duration) -> Duration {
        match &self.0 {
            Kind::Scaled { factor, .. } => duration / *factor,
            Kind::System | Kind::Manual(_) => duration,
        }
    }

    /// What a duration of a store's clock is on this clock.
    pub(crate) fn of_store(&self, duration: Duration) -> Duration {
        match &self.0 {
            Kind::Scaled { factor, .. } => duration.saturating_mul(*factor),
            Kind::System | Kind::Manual(_) => duration,
        }
    }

    /// Starts to count, from a point that no change of the time of day moves.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch(match &self.0 {
            Kind::System | Kind::Scaled { .. } => Start::Real(Instant::now()),
            Kind::Manual(manual) => Start::Manual(manual.elapsed()),
        })
    }

    /// How long ago a stopwatch of this clock was started, on this clock.
    pub(crate) fn elapsed(&self, stopwatch: &Stopwatch) -> Duration {
        match (&self.0, &stopwatch.0) {
            (Kind::Manual(manual), Start::Manual(start)) => manual.elapsed().saturating_sub(*start),
            (_, Start::Real(start)) => self.of_store(start.elapsed()),
            // Of another clock.
            (_, Start::Manual(_)) => Duration::ZERO,
        }
    }

    /// The hands of this clock, if somebody can turn it.
    pub(crate) fn as_manual(&self) -> Option<&ManualClock> {
        match &self.0 {
            Kind::Manual(manual) => Some(manual),
            Kind::System | Kind::Scaled { .. } => None,
        }
    }
}

/// The time of day after a while. No system can tell the end of all durations: ten thousand years on,
/// time stands still.
fn later(time: SystemTime, by: Duration) -> SystemTime {
    const LONGEST: Duration = Duration::from_secs(10_000 * 365 * 24 * 60 * 60);
    time + by.min(LONGEST)
}

/// A point in the time of one clock: made by [`Clock::stopwatch`].
pub(crate) struct Stopwatch(Start);

enum Start {
    Real(Instant),
    Manual(Duration),
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::System => f.write_str("Clock::system"),
            Kind::Scaled { factor, .. } => write!(f, "Clock::scaled({factor})"),
            Kind::Manual(manual) => write!(f, "Clock::manual(+{:?})", manual.elapsed()),
        }
    }
}

/// The hands of a clock that stands still: made by [`Clock::manual`], turned by [`advance`](Self::advance).
///
/// Clones are hands of the same clock.
#[derive(Clone)]
pub struct ManualClock {
    start: SystemTime,
    elapsed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// The clock that these hands turn, for an endpoint's builder.
    pub fn clock(&self) -> Clock {
        Clock(Kind::Manual(self.clone()))
    }

    /// Moves time forward and wakes everybody whose time has come.
    pub fn advance(&self, by: Duration) {
        self.elapsed
            .send_modify(|elapsed| *elapsed = elapsed.saturating_add(by));
    }

    /// How far the clock was turned since it was made.
    pub fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    /// Whether both are hands of one clock.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.elapsed, &other.elapsed)
    }

    async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.elapsed().saturating_add(duration))
            .await;
    }

    async fn sleep_until(&self, due: Duration) {
        let mut elapsed = self.elapsed.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = elapsed.wait_for(|elapsed| *elapsed >= due).await;
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock(+{:?})", self.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::edges::duration;

    proptest! {
        #[test]
        fn however_far_it_is_turned_a_manual_clock_never_runs_backwards(
            turns in proptest::collection::vec(duration(), 0..6),
        ) {
            let hands = Clock::manual();
            let clock = hands.clock();
            let stopwatch = clock.stopwatch();
            let (mut now, mut elapsed) = (clock.now(), Duration::ZERO);
            for turn in turns {
                hands.advance(turn);
                elapsed = elapsed.saturating_add(turn);
                prop_assert_eq!(clock.elapsed(&stopwatch), elapsed);
                prop_assert!(clock.now() >= now);
                now = clock.now();
            }
        }

        #[test]
        fn no_duration_is_too_long_to_be_converted(duration in duration(), factor in any::<u32>()) {
            let clock = Clock::scaled(factor);
            let there = clock.to_store(duration);
            prop_assert!(there <= duration);
            // A nanosecond of the store's clock is the precision.
            let lost = duration - clock.of_store(there).min(duration);
            prop_assert!(lost <= Duration::from_nanos(factor.into()));
            prop_assert!(clock.of_store(duration) >= duration);
        }
    }

    #[tokio::test]
    async fn a_manual_sleep_ends_when_the_clock_was_turned_far_enough() {
        let hands = Clock::manual();
        let clock = hands.clock();
        let hour = Duration::from_secs(3600);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(hour).await }
        });
        while hands.elapsed.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        hands.advance(hour / 2);
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hands.advance(hour / 2);
        sleeper.await.unwrap();
    }

    #[test]
    fn a_scaled_clock_converts_durations_for_its_store_and_back() {
        let clock = Clock::scaled(60);
        let two_minutes = Duration::from_secs(120);
        assert_eq!(clock.to_store(two_minutes), Duration::from_secs(2));
        assert_eq!(clock.of_store(Duration::from_secs(2)), two_minutes);
    }

    #[tokio::test]
    async fn a_timeout_lets_a_finished_future_win() {
        let clock = Clock::system();
        assert_eq!(
            clock.timeout(Duration::ZERO, async { 7 }).await,
            Some(7),
            "what is ready is never timed out"
        );
        let never = clock.timeout(Duration::from_millis(1), std::future::pending::<()>());
        assert_eq!(never.await, None);
    }
}
