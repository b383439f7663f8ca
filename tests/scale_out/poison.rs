//! An event that ends the worker that handles it.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio::time::sleep;
use tower_callback::store::State;

use crate::{
    engine::{Kind, Server},
    fleet::Member,
    front::receive,
    journal::{self, What},
    role::Role,
};

const POISON: &str = "poison";
// The default: a neighbour that shares some of its leases has to survive them on a slow machine.
const LIMIT: u32 = 5;

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials(
        "an_event_that_kills_its_worker_is_given_up_and_its_neighbours_are_handled",
        run,
    )
}

async fn run(kind: Kind) -> Result<(), String> {
    let server = Server::start(kind).await;
    let direct = server.open().await;
    let neighbours: Vec<_> = (0..10).map(|task| format!("neighbour-{task}")).collect();
    for task in &neighbours[..5] {
        receive(&direct, task).await;
    }
    receive(&direct, POISON).await;
    for task in &neighbours[5..] {
        receive(&direct, task).await;
    }

    let notes = tempfile::tempdir().unwrap();
    let journal = notes.path().join("journal");
    let role = Role::Worker {
        lease_ttl: Duration::from_secs(2),
        handler: Duration::ZERO,
        failing: 0,
        hold: None,
        poison: Some((POISON.to_owned(), LIMIT)),
    };
    let mut worker = Member::new(&server, "worker".to_owned(), role, "unused", &journal);
    worker.start();
    let start = Instant::now();
    let mut kills = 0;
    while direct.find(POISON).await.unwrap().state != State::Dead {
        if worker.has_ended() {
            kills += 1;
            worker.start();
        }
        assert!(start.elapsed() < Duration::from_secs(120), "never given up");
        sleep(Duration::from_millis(20)).await;
    }
    // On a slow machine, a lease may expire before the handler has begun.
    assert!((1..=LIMIT).contains(&kills), "{kills}");
    let lines = journal::read(&journal);
    let begins = lines
        .iter()
        .filter(|line| line.task == POISON && line.what == What::Begins);
    assert_eq!(begins.count(), kills as usize);
    for task in &neighbours {
        while direct.find(task).await.unwrap().state != State::Done {
            assert!(start.elapsed() < Duration::from_secs(120), "{task}: never");
            sleep(Duration::from_millis(20)).await;
        }
    }
    worker.terminate().await;
    Ok(())
}
