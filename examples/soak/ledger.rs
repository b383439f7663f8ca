//! What was acknowledged and not handled yet, and the answers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// Of each event that only one thing is known of: whether it is that it was handled.
    open: HashMap<u64, bool>,
    acknowledged: u64,
    handled: u64,
    repeats: u64,
    answers: BTreeMap<String, u64>,
    wrongs: Vec<String>,
    latencies: Vec<Duration>,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new event was answered with 200.
    pub(super) fn acknowledged(&self, event: u64, after: Duration) {
        let mut books = self.books();
        books.acknowledged += 1;
        books.latencies.push(after);
        if books.open.remove(&event).is_none() {
            books.open.insert(event, false);
        }
    }

    /// A handler was through with an event, maybe again.
    pub(super) fn handled(&self, event: u64) {
        let mut books = self.books();
        books.handled += 1;
        if books.open.remove(&event).is_none() {
            books.open.insert(event, true);
        }
    }

    pub(super) fn repeated(&self) {
        self.books().repeats += 1;
    }

    pub(super) fn answered(&self, what: String) {
        *self.books().answers.entry(what).or_default() += 1;
    }

    pub(super) fn wrong(&self, what: String) {
        let mut books = self.books();
        if books.wrongs.len() < 20 {
            books.wrongs.push(what);
        }
    }

    /// How many events were acknowledged and are still to be handled.
    pub(super) fn waiting(&self) -> usize {
        let books = self.books();
        books.open.values().filter(|handled| !**handled).count()
    }

    /// The time that half of the last answers took, and that one in twenty took, in milliseconds.
    pub(super) fn latency(&self) -> Option<(f64, f64)> {
        let mut latencies = std::mem::take(&mut self.books().latencies);
        latencies.sort();
        let at =
            |part: usize| Some(latencies.get(latencies.len() * part / 100)?.as_secs_f64() * 1000.0);
        Some((at(50)?, at(95)?))
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.books().wrongs.clone()
    }

    /// Names and numbers, one in a line.
    pub(super) fn print(&self, per_second: f64) {
        let books = self.books();
        let answers = books.answers.iter();
        let counts = [
            ("events acknowledged", books.acknowledged),
            (
                "  in a second",
                (books.acknowledged as f64 * per_second) as u64,
            ),
            ("events handled, some of them again", books.handled),
            ("repeats answered with 200", books.repeats),
        ];
        let answers = answers.map(|(what, count)| (&**what, *count));
        for (what, count) in counts.into_iter().chain(answers) {
            println!("  {what:<36}{count:>8}");
        }
    }
}
