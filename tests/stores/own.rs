//! The store of the example `own_store`.

#[path = "../../examples/own_store/store.rs"]
mod store;

use std::{path::PathBuf, sync::Mutex, time::Duration};

use libtest_mimic::Trial;
use tempfile::TempDir;
use tower_callback::testing::conformance::{Fixture, Need};

use self::store::RedbStore;
use crate::suite;

/// One process at a time has the file.
const LACKS: &[Need] = &[
    Need::Limit,
    Need::Replicas,
    Need::Processes,
    Need::WrongClocks,
    Need::Connection,
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = suite::of("own_store", LACKS, || Ok(Own::default()));
    trials.push(Trial::test(
        "own_store::the_guide_quotes_the_example",
        || {
            the_guide_quotes_the_example();
            Ok(())
        },
    ));
    trials
}

/// A directory for every store.
#[derive(Default)]
struct Own(Mutex<Vec<TempDir>>);

impl Own {
    fn last(&self) -> PathBuf {
        let dirs = self.0.lock().unwrap();
        dirs[dirs.len() - 1].path().join("callbacks.redb")
    }
}

impl Fixture for Own {
    type Store = RedbStore;

    async fn open(&self) -> RedbStore {
        self.0.lock().unwrap().push(tempfile::tempdir().unwrap());
        RedbStore::open(self.last()).unwrap()
    }

    async fn open_bounded(&self, _: usize) -> Option<RedbStore> {
        None
    }

    /// A call that was dropped ends all the same, and holds the file until then.
    async fn reopen(&self, store: RedbStore) -> Option<RedbStore> {
        drop(store);
        loop {
            match RedbStore::open(self.last()) {
                Ok(store) => return Some(store),
                Err(error) if error.to_string().contains("already open") => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A guide that shows code which is nowhere else would show code that nobody has compiled.
fn the_guide_quotes_the_example() {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let sources = [
        include_str!("../../examples/own_store/store.rs"),
        include_str!("own.rs"),
    ];
    let sources = sources.map(lines);
    let guide = include_str!("../../docs/your-own-store.md");
    let quotes = guide.split("```rs\n").skip(1);
    let quotes = quotes.map(|rest| lines(rest.split("```").next().unwrap()));
    let mut count = 0;
    for quote in quotes {
        let mut windows = sources
            .iter()
            .flat_map(|source| source.windows(quote.len()));
        assert!(windows.any(|window| window == quote), "{quote:#?}");
        count += 1;
    }
    assert_eq!(count, 7);
    let lines = include_str!("../../examples/own_store/store.rs").lines();
    assert!(lines.count() < 300, "it is too long to be read");
}
