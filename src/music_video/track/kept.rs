//! Records that may have reached the store, or not.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::store::NewRecord;

/// The very records, since the store answers the same id as it answered it before. By a name; the oldest
/// are forgotten first.
#[derive(Default)]
pub(super) struct Kept(Mutex<VecDeque<(String, NewRecord)>>);

/// Enough for what is under way when a store goes away, and little memory.
const MOST: usize = 1024;

impl Kept {
    pub(super) fn put(&self, name: &str, record: NewRecord) {
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back((name.to_owned(), record));
    }

    /// Those of this name that are meant. Whoever takes them has them alone.
    pub(super) fn take(&self, name: &str, meant: impl Fn(&NewRecord) -> bool) -> Vec<NewRecord> {
        let mut taken = Vec::new();
        self.kept().retain(|(of, record)| {
            let take = of == name && meant(record);
            if take {
                taken.push(record.clone());
            }
            !take
        });
        taken
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(String, NewRecord)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Queue;

    #[test]
    fn each_is_taken_once_and_the_oldest_are_forgotten_first() {
        let kept = Kept::default();
        for n in 0..MOST + 2 {
            let record = NewRecord::new(Queue::tracked("videos"), "c:1", "{}");
            kept.put(&n.to_string(), record);
        }
        let count = |name: &str| kept.take(name, |_| true).len();
        assert_eq!((count("0"), count("1"), count("2")), (0, 0, 1));
        assert_eq!(count("2"), 0);
        assert!(kept.take("3", |_| false).is_empty());
        assert_eq!(count("3"), 1);
    }
}
