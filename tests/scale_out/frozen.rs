//! A worker that stands still for longer than its lease lasts.

use std::{path::Path, time::Duration};

use libtest_mimic::Trial;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};
use tower_callback::store::State;

use crate::{
    engine::{Direct, Kind, Server},
    fleet::Member,
    front::receive,
    journal::{self, Line, What},
    role::Role,
};

const LEASE_TTL: Duration = Duration::from_secs(1);
const TASK: &str = "task-1";
const SECRET: &str = "a-secret-of-32-characters-or-so";

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials(
        "a_worker_that_was_frozen_past_its_lease_settles_nothing",
        run,
    )
}

async fn run(kind: Kind) -> Result<(), String> {
    let server = Server::start(kind).await;
    let notes = tempfile::tempdir().unwrap();
    let journal = notes.path().join("journal");
    let hold = notes.path().join("go-on");
    let worker = |name: &str, hold| {
        let role = Role::Worker {
            lease_ttl: LEASE_TTL,
            handler: Duration::ZERO,
            failing: 0,
            hold,
            poison: None,
        };
        Member::new(&server, name.to_owned(), role, SECRET, &journal)
    };

    let direct = server.open().await;
    receive(&direct, TASK).await;
    let mut frozen = worker("frozen", Some(hold.clone()));
    frozen.start();
    let first = line(&journal, "frozen", What::Begins).await;
    frozen.signal(Signal::STOP);

    let mut successor = worker("successor", None);
    successor.start();
    let second = line(&journal, "successor", What::Done).await;
    assert_ne!(first.token, second.token);

    std::fs::write(&hold, "").unwrap();
    frozen.signal(Signal::CONT);
    line(&journal, "frozen", What::SettlesNothing).await;
    if kind == Kind::Postgres {
        line(&journal, "frozen", What::CompletesNothing).await;
    }
    // Whatever else it has in mind, it has done when it has ended.
    frozen.terminate().await;
    successor.terminate().await;

    let found = direct.find(TASK).await.unwrap();
    assert_eq!(found.state, State::Done);
    assert_eq!(found.settled_by.unwrap().to_string(), second.token);
    let lines = journal::read(&journal);
    let done: Vec<_> = lines
        .iter()
        .filter(|line| line.what == What::Done)
        .collect();
    assert!(
        done.iter().all(|line| line.token == second.token),
        "{lines:?}"
    );
    if let Direct::Postgres(_, pool) = &direct {
        let workers: Vec<String> = sqlx::query_scalar("SELECT worker FROM effect")
            .fetch_all(pool)
            .await
            .unwrap();
        assert_eq!(workers, ["successor"]);
    }
    Ok(())
}

/// Waits for a line in the journal.
async fn line(journal: &Path, worker: &str, what: What) -> Line {
    let waiting = async {
        loop {
            let lines = journal::read(journal).into_iter();
            let mut lines = lines.filter(|line| line.worker == worker && line.what == what);
            if let Some(line) = lines.next() {
                return line;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let line = timeout(Duration::from_secs(120), waiting).await;
    line.unwrap_or_else(|_| panic!("{worker} {what:?}: never"))
}
