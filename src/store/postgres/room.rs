//! How much room there is, where it is limited.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long a count is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// A limit on what is alive. Counting takes as long as there is to count, so it is done when half
/// of the room of the last time is used, and once a second.
#[derive(Debug)]
pub(super) struct Room {
    capacity: Option<i64>,
    last: Mutex<Option<Count>>,
}

#[derive(Debug)]
struct Count {
    at: Instant,
    room: i64,
    used: i64,
}

impl Room {
    pub(super) fn new(capacity: Option<u64>) -> Self {
        Self {
            capacity: capacity.map(|records| i64::try_from(records).unwrap_or(i64::MAX)),
            last: Mutex::default(),
        }
    }

    /// The capacity, if it is to be counted how much of it is used before so many records come.
    pub(super) fn ask(&self, records: usize) -> Option<i64> {
        let capacity = self.capacity?;
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = last.as_mut().filter(|count| count.at.elapsed() < BELIEVED) {
            count.used = count.used.saturating_add(records);
            if count.used <= count.room / 2 {
                return None;
            }
        }
        Some(capacity)
    }

    /// So many were alive before so many records came.
    pub(super) fn learn(&self, alive: i64, records: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Count {
            at: Instant::now(),
            room: self.capacity.unwrap_or(i64::MAX).saturating_sub(alive),
            used: i64::try_from(records).unwrap_or(i64::MAX),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_again_when_half_of_the_room_is_used() {
        let room = Room::new(Some(100));
        assert_eq!(room.ask(1), Some(100), "nothing is known yet");
        room.learn(20, 1);
        assert_eq!(room.ask(29), None);
        assert_eq!(room.ask(11), Some(100));
        room.learn(98, 0);
        assert_eq!(room.ask(2), Some(100));
        room.learn(90, 9);
        assert_eq!(room.ask(1), Some(100), "what it was counted for is in");
        assert_eq!(Room::new(None).ask(1), None);
    }
}
