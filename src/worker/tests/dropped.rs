//! A worker that is dropped at any point, and the one that comes after it.

use std::{collections::HashMap, sync::MutexGuard};

use tokio::sync::Semaphore;

use super::*;
use crate::testing::dropped::at_every_poll;

/// What handlers do, by the key, and what is wrong with it: a handler's own panic would be caught.
#[derive(Clone, Default)]
pub(super) struct Books(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    entries: HashMap<String, Entry>,
    complaints: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// How many handle it now.
    pub(super) running: usize,
    pub(super) begun: usize,
    pub(super) succeeded: usize,
}

/// A handler at work.
pub(super) struct AtWork {
    books: Books,
    key: String,
}

impl Books {
    pub(super) fn begin(&self, key: &str) -> AtWork {
        let mut pages = self.pages();
        let entry = pages.entries.entry(key.to_owned()).or_default();
        entry.begun += 1;
        entry.running += 1;
        if entry.running > 1 {
            pages
                .complaints
                .push(format!("{key} is handled twice at once"));
        }
        AtWork {
            books: self.clone(),
            key: key.to_owned(),
        }
    }

    pub(super) fn complain(&self, complaint: String) {
        self.pages().complaints.push(complaint);
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.pages().complaints.clone()
    }

    pub(super) fn of(&self, key: &str) -> Entry {
        let pages = self.pages();
        pages.entries.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn running(&self) -> usize {
        let pages = self.pages();
        pages.entries.values().map(|entry| entry.running).sum()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }
}

impl AtWork {
    pub(super) fn succeeds(self) {
        self.change(|entry| entry.succeeded += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut pages = self.books.pages();
        change(pages.entries.entry(self.key.clone()).or_default());
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.change(|entry| entry.running -= 1);
    }
}

/// Drops the worker at every poll of its loop, in the middle of whatever it does with three events.
async fn drop_at_every_poll(set: impl Fn(&mut Bench)) {
    const WORDS: [&str; 3] = ["one", "two", "again"];
    at_every_poll(async |cut| {
        let mut bench = Bench::new();
        set(&mut bench);
        for word in WORDS {
            bench.insert(word).await;
        }
        let books = Books::default();
        let succeeded = Arc::new(Semaphore::new(0));
        let handler = || {
            let (books, succeeded) = (books.clone(), Arc::clone(&succeeded));
            let clock = bench.hands.clock();
            AnyHandler::from_fn(move |delivery: Delivery<Word>| {
                let attempt = delivery.attempt();
                let Word(word) = delivery.event;
                let at_work = books.begin(&word);
                let (clock, succeeded) = (clock.clone(), Arc::clone(&succeeded));
                async move {
                    clock.sleep(SECOND / 2).await;
                    if word == "again" && attempt == 1 {
                        return Err("not yet".into());
                    }
                    at_work.succeeds();
                    succeeded.add_permits(1);
                    Ok(())
                }
            })
        };
        let all_handled = {
            let succeeded = Arc::clone(&succeeded);
            async move { drop(succeeded.acquire_many_owned(WORDS.len() as u32).await) }
        };
        let run = cut.of(bench.worker(handler()).run_until(all_handled));
        let first = tokio::spawn(run);
        bench.turn_until(SECOND, || first.is_finished()).await;
        let ended = first.await.unwrap().is_some();
        calm().await;
        assert_eq!(books.running(), 0, "{cut:?}: a handler outlives its worker");
        let expected = if ended { Life::Stopped } else { Life::Dropped };
        assert_eq!(bench.liveness.get(), expected, "{cut:?}");

        // What is done is done, and what is not comes again, once its lease is over.
        let mut before = HashMap::new();
        for word in WORDS {
            if bench.is(word, State::Done).await {
                before.insert(word, books.of(word).begun);
            }
        }
        assert!(!ended || before.len() == WORDS.len());
        let second = bench.run(handler());
        for word in WORDS {
            for _ in 0..400 {
                bench.turn(SECOND, SECOND).await;
                if bench.is(word, State::Done).await {
                    break;
                }
            }
            assert!(bench.is(word, State::Done).await, "{cut:?}: {word} is lost");
            let entry = books.of(word);
            assert!(entry.succeeded >= 1, "{cut:?}: {word} was never handled");
            if let Some(begun) = before.get(word) {
                assert_eq!(entry.begun, *begun, "{cut:?}: {word} is handled again");
            }
        }
        second.stop(&bench).await;
        assert_eq!(books.complaints(), [""; 0], "{cut:?}");
        ended
    })
    .await;
}

#[tokio::test]
async fn a_worker_may_be_dropped_at_any_point() {
    drop_at_every_poll(|_| {}).await;
}

#[tokio::test]
async fn a_worker_that_handles_one_at_a_time_may_be_dropped_at_any_point() {
    drop_at_every_poll(|bench| bench.settings.concurrency = 1).await;
}

#[tokio::test]
async fn a_worker_whose_store_takes_its_time_may_be_dropped_at_any_point() {
    drop_at_every_poll(|bench| bench.store.dawdle(fastrand::Rng::with_seed(7))).await;
}
