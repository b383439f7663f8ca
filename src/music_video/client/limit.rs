//! No more requests in any window than the provider allows.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{Clock, clock::Stopwatch};

/// Lets through so many requests per window, wherever the window begins.
///
/// A request takes one of `most` seats. When it was sent exactly, and when it arrived, nobody knows:
/// some time between the moment when it was let through and the moment when its answer came. So a seat
/// is free again a whole window after the latter.
///
/// There is no task behind it. Whoever is first in the queue waits for the next seat, all others wait
/// to become first; whoever leaves, served or not, wakes the next.
pub(super) struct Limiter {
    most: usize,
    window: Duration,
    clock: Clock,
    origin: Stopwatch,
    state: Mutex<State>,
}

/// Which of those who wait goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Somebody waits for it: it goes first, three times in four.
    Submissions,
    /// It is asked again and again anyway.
    Polls,
}

/// After so many submissions in a row, a poll that waits goes first. Else a steady stream of
/// submissions would keep all polls away, and so what was submitted before from its end.
const IN_A_ROW: u32 = 3;

#[derive(Default)]
struct State {
    /// Requests under way.
    taken: usize,
    /// When the answers of the last ones came, in their order; at most `most` with those under way.
    ended: VecDeque<Duration>,
    /// In the order in which they are served, but for the turn of a poll.
    waiting: BTreeMap<Place, Arc<Notify>>,
    /// Submissions that were let through since the last poll was.
    in_a_row: u32,
    next: u64,
}

type Place = (Lane, u64);

enum Step {
    Go,
    /// Until the first seat is free.
    Sleep(Duration),
    /// Until an answer comes, or the first in the queue leaves.
    Wait,
}

impl Limiter {
    pub(super) fn new(most: usize, window: Duration, clock: Clock) -> Self {
        Self {
            most,
            window,
            origin: clock.stopwatch(),
            clock,
            state: Mutex::default(),
        }
    }

    /// Waits for a seat. Dropped before, it has changed nothing.
    pub(super) async fn acquire(&self, lane: Lane) -> Permit<'_> {
        let waiter = self.enter(lane);
        loop {
            match self.step(waiter.place) {
                Step::Go => return Permit(self),
                Step::Sleep(due) => tokio::select! {
                    () = self.clock.sleep_since(&self.origin, due) => {}
                    () = waiter.wake.notified() => {}
                },
                Step::Wait => waiter.wake.notified().await,
            }
        }
    }

    fn enter(&self, lane: Lane) -> Waiter<'_> {
        let wake = Arc::new(Notify::new());
        let mut state = self.state();
        let place = (lane, state.next);
        state.next += 1;
        state.waiting.insert(place, Arc::clone(&wake));
        Waiter {
            limiter: self,
            place,
            wake,
        }
    }

    fn step(&self, place: Place) -> Step {
        let mut state = self.state();
        if state.first().map(|(first, _)| *first) != Some(place) {
            return Step::Wait;
        }
        let now = self.clock.elapsed(&self.origin);
        while let Some(ended) = state.ended.front() {
            let free = ended.saturating_add(self.window);
            if free > now {
                break;
            }
            state.ended.pop_front();
        }
        if state.taken + state.ended.len() < self.most {
            state.taken += 1;
            state.in_a_row = match place.0 {
                Lane::Submissions => state.in_a_row.saturating_add(1),
                Lane::Polls => 0,
            };
            return Step::Go;
        }
        match state.ended.front() {
            Some(ended) => Step::Sleep(ended.saturating_add(self.window)),
            None => Step::Wait,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn first(&self) -> Option<(&Place, &Arc<Notify>)> {
        let poll = || self.waiting.range((Lane::Polls, 0)..).next();
        let poll = if self.in_a_row < IN_A_ROW {
            None
        } else {
            poll()
        };
        poll.or_else(|| self.waiting.first_key_value())
    }

    fn wake_first(&self) {
        if let Some((_, wake)) = self.first() {
            wake.notify_one();
        }
    }
}

/// Somebody in the queue.
struct Waiter<'a> {
    limiter: &'a Limiter,
    place: Place,
    wake: Arc<Notify>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.waiting.remove(&self.place);
        state.wake_first();
    }
}

/// The right to send one request: dropped when it has arrived, or will not any more.
pub(super) struct Permit<'a>(&'a Limiter);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // Within the lock, so that they are in order.
        let now = self.0.clock.elapsed(&self.0.origin);
        state.taken -= 1;
        state.ended.push_back(now);
        state.wake_first();
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.most, self.window)
    }
}

#[cfg(test)]
mod tests;
