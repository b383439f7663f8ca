//! What is wrong around a receiver: its disk, its file, its neighbours. The reply is 503 for as long as
//! that lasts, nothing that was acknowledged is lost, and no restart is needed.

#![allow(clippy::unwrap_used)]

mod clock;
mod disk;
#[path = "../support/faketime.rs"]
mod faketime;
mod file;
mod frozen;
mod neighbours;
mod poison;
#[path = "../receiver/mod.rs"]
mod receiver;
#[path = "../support/small_disk.rs"]
mod small_disk;
mod syncs;

use std::{
    path::Path,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use tower_callback::{
    MusicVideo,
    store::{SqliteStore, Store},
};

use receiver::{Line, Place, Receiver, Reply, cannot_run, events, integrity, open, wait_for};

fn main() -> ExitCode {
    if let Some(setup) = receiver::Setup::given() {
        return receiver::serve(&setup);
    }
    let trials = [
        clock::trials(),
        disk::trials(),
        file::trials(),
        frozen::trials(),
        neighbours::trials(),
        poison::trials(),
        syncs::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs what asks a database, in a test that is otherwise about processes.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn body(task: &str) -> Vec<u8> {
    long_body(task, 0)
}

fn long_body(task: &str, padding: usize) -> Vec<u8> {
    let video = format!("https://example.com/{task}.mp4");
    let mut event = MusicVideo::succeeded(task, video);
    event.msg = " ".repeat(padding);
    event.encode().to_vec()
}

/// A provider that remembers what was acknowledged.
struct Caller<'a> {
    place: &'a Place,
    /// Bytes that every body has more than it needs.
    padding: usize,
    acknowledged: Mutex<Vec<String>>,
}

impl<'a> Caller<'a> {
    fn new(place: &'a Place) -> Self {
        Self {
            place,
            padding: 0,
            acknowledged: Mutex::default(),
        }
    }

    /// Calls once.
    fn call(&self, task: &str) -> Reply {
        let reply = self.place.post(&long_body(task, self.padding));
        if reply.status == 200 {
            self.acknowledged.lock().unwrap().push(task.to_owned());
        }
        reply
    }

    /// The documented reply to what cannot be stored now.
    fn turned_away(&self, task: &str) {
        let reply = self.call(task);
        assert_eq!((reply.status, reply.retry_after), (503, true), "{task}");
    }

    /// Calls until it is received, as the provider does, only faster.
    fn received_at_last(&self, task: &str) {
        let start = Instant::now();
        loop {
            let reply = self.call(task);
            if reply.status == 200 {
                return;
            }
            assert_eq!(reply.status, 503, "{task}");
            assert!(start.elapsed() < Duration::from_secs(60), "{task}: never");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that was acknowledged is handled by the receiver that runs, and what is left on
    /// disk is whole.
    fn nothing_is_lost(&self, receiver: Receiver) {
        let tasks = self.acknowledged.lock().unwrap().clone();
        assert!(!tasks.is_empty());
        self.place.end_outage();
        for task in &tasks {
            wait_for_end(self.place, task);
        }
        receiver.kill();
        assert_eq!(block_on(integrity(&self.place.database())), "ok");
        block_on(is_whole(&self.place.last_store(), &tasks));
    }
}

fn wait_for_end(place: &Place, task: &str) {
    let end = Line::End(task.to_owned(), 1);
    wait_for("it is handled", || place.journal().contains(&end));
}

async fn is_whole(database: &Path, tasks: &[String]) {
    assert_eq!(integrity(database).await, "ok");
    let store: SqliteStore = open(database).await;
    for task in tasks {
        let found = store.find(&events(), task.as_bytes()).await.unwrap();
        assert!(found.is_some(), "{task} was acknowledged and is lost");
    }
}
