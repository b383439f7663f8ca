//! Processes that are killed with a spool that is not empty.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use tower_callback::{
    store::{
        Action, Durability, Inbox, Inserted, NewRecord, Settlement, SqliteStore, Store, StoreError,
    },
    testing::{Fault, Recording},
};

use crate::{
    engine::{LONG, event, events, quick, run, until},
    trials,
};

trials! {
    what_was_acknowledged_in_an_outage_survives_kills_in_its_order,
    a_kill_between_the_stores_answer_and_the_files_doubles_nothing,
}

const VARIABLE: &str = "TOWER_CALLBACK_TEST_SPOOL";

/// What this process is to do until it is killed.
pub(crate) enum Child {
    /// Inserts, into a store that is away, and says what was acknowledged.
    Inserts(PathBuf, usize),
    /// Hands on, and ends after so many batches that the store has taken.
    HandsOn(PathBuf, usize),
}

impl Child {
    pub(crate) fn given() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let mut words = text.splitn(3, ' ');
        let (what, number) = (words.next()?, words.next()?.parse().ok()?);
        let place = PathBuf::from(words.next()?);
        Some(match what {
            "inserts" => Self::Inserts(place, number),
            _ => Self::HandsOn(place, number),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let text = match self {
            Self::Inserts(place, first) => format!("inserts {first} {}", place.display()),
            Self::HandsOn(place, batches) => format!("hands-on {batches} {}", place.display()),
        };
        command.env(VARIABLE, text).stdout(Stdio::piped());
        command
    }

    pub(crate) fn run(self) -> ExitCode {
        run(async {
            match self {
                Self::Inserts(place, first) => inserts(&place, first).await,
                Self::HandsOn(place, batches) => hands_on(&place, batches).await,
            }
        });
        ExitCode::SUCCESS
    }
}

async fn engine(place: &Path) -> SqliteStore {
    SqliteStore::open(place.join("engine.db")).await.unwrap()
}

fn key(n: usize) -> String {
    format!("task {n:05}")
}

async fn inserts(place: &Path, first: usize) {
    let engine = Recording::new(engine(place).await);
    engine.fail(Fault::Unavailable);
    let (store, forwarder) = quick().open(engine, place.join("spool.db")).await.unwrap();
    tokio::spawn(forwarder.run());
    for n in first.. {
        let answers = store.insert(&[event(key(n))]).await.unwrap();
        // The key that was on its way when the process before was killed may be there.
        assert!(matches!(
            answers[0],
            Inserted::Fresh | Inserted::Duplicate { .. }
        ));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{n}").unwrap();
        out.flush().unwrap();
    }
}

async fn what_was_acknowledged_in_an_outage_survives_kills_in_its_order() {
    let place = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for lines in [1, 40, 100, 7, 60] {
        let child = Child::Inserts(place.path().to_owned(), acknowledged);
        let mut child = child.command().spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            said.next().unwrap().unwrap();
            acknowledged += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said while it was killed.
        acknowledged += said.count();
    }
    let engine = engine(place.path()).await;
    drain(&engine, place.path()).await;
    let leased = engine.lease(&events(), 10_000, LONG).await.unwrap();
    let keys: Vec<_> = leased.iter().map(|item| item.key.clone()).collect();
    let promised: Vec<_> = (0..keys.len()).map(key).collect();
    assert_eq!(keys, promised, "each once, in order");
    // The last one may have been kept without an answer.
    assert!(keys.len() == acknowledged || keys.len() == acknowledged + 1);
}

async fn drain(engine: &SqliteStore, place: &Path) {
    let file = place.join("spool.db");
    let (store, forwarder) = quick().open(engine.clone(), file).await.unwrap();
    let forwarding = tokio::spawn(forwarder.run());
    until(async || store.backlog().await.unwrap().waiting == 0).await;
    forwarding.abort();
    let _ = forwarding.await;
}

/// Ends the process when so many batches are in.
struct Deadly {
    store: SqliteStore,
    left: AtomicUsize,
}

impl Inbox for Deadly {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let answers = self.store.insert(records).await?;
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // As abrupt as a kill, and at this very point.
            std::process::abort();
        }
        Ok(answers)
    }
}

async fn hands_on(place: &Path, batches: usize) {
    let store = Deadly {
        store: engine(place).await,
        left: AtomicUsize::new(batches),
    };
    let (store, forwarder) = quick().open(store, place.join("spool.db")).await.unwrap();
    tokio::spawn(forwarder.run());
    until(async || store.backlog().await.unwrap().waiting == 0).await;
}

async fn a_kill_between_the_stores_answer_and_the_files_doubles_nothing() {
    const RECORDS: usize = 400;
    let place = tempfile::tempdir().unwrap();
    let away = Recording::new(engine(place.path()).await);
    away.fail(Fault::Unavailable);
    let file = place.path().join("spool.db");
    let (store, forwarder) = quick().open(away, &file).await.unwrap();
    let records: Vec<_> = (0..RECORDS).map(key).map(event).collect();
    store.insert(&records).await.unwrap();
    drop((store, forwarder));

    let engine = engine(place.path()).await;
    let mut handled = BTreeMap::new();
    let mut kills = 0;
    for batches in 1.. {
        let child = Child::HandsOn(place.path().to_owned(), batches);
        let mut child = child.command().spawn().unwrap();
        let ended = child.wait().unwrap().success();
        // A worker is done with them before the next process hands them on again.
        for item in engine.lease(&events(), 10_000, LONG).await.unwrap() {
            *handled.entry(item.key).or_insert(0) += 1;
            let done = Settlement::new(item.lease, Action::Done);
            engine.settle(&[done]).await.unwrap();
        }
        if ended {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3, "{kills} kills prove little");
    assert_eq!(handled.len(), RECORDS);
    assert!(handled.values().all(|times| *times == 1), "{handled:?}");
}
