//! The whole loop: whatever is lost, repeated, reordered or forged on the way, and however often our process
//! is killed, each task that was submitted ends as one handled outcome.
//!
//! The provider lives in the test's process, and everything of ours in another one: front, worker, poller,
//! submitter and downloader over one SQLite file. It is killed at moments of the seed's choice, and started
//! again.
//!
//! `SEEDS=30` tries more seeds, `SEED=7` begins with another one. A seed repeats what goes wrong, but not the
//! timing.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod books;
mod files;
mod forger;
mod journal;
mod play;
#[path = "../receiver/mod.rs"]
mod receiver;
mod service;
mod setup;
mod tally;
mod verdict;

use std::{process::ExitCode, sync::Arc, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{setup::Mode, tally::Tally};

/// How many seeds are played at once: they mostly wait.
const AT_ONCE: usize = 3;
/// What a run without wishes tries, of the submissions and of the downloads.
const FEW: (u64, u64) = (8, 2);

fn main() -> ExitCode {
    if let Some(setup) = setup::Setup::given() {
        return service::serve(&setup);
    }
    let trials = vec![
        Trial::test("every_submitted_task_ends_as_one_handled_outcome", || {
            run(FEW.0, Mode::of)
        }),
        Trial::test("every_success_is_fetched_whole", || {
            run(FEW.1, |_| Mode::Downloading)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn run(few: u64, mode: fn(u64) -> Mode) -> Result<(), Failed> {
    let first = number("SEED").unwrap_or(0);
    let count = number("SEEDS").unwrap_or(few).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut plays = JoinSet::new();
        for seed in first..first + count {
            let turns = Arc::clone(&turns);
            plays.spawn(async move {
                let _turn = turns.acquire_owned().await.unwrap();
                let mode = mode(seed);
                let play = tokio::time::timeout(Duration::from_secs(180), play::play(seed, mode));
                (seed, mode, play.await)
            });
        }
        let mut total = Tally::default();
        let mut wrongs = Vec::new();
        while let Some(ended) = plays.join_next().await {
            let (seed, mode, played) = ended.map_err(|error| error.to_string())?;
            let (tally, wrong) =
                played.unwrap_or_else(|_| (Tally::default(), vec!["it never ends".to_owned()]));
            wrongs.extend(
                wrong
                    .iter()
                    .map(|what| format!("seed {seed} ({mode:?}): {what}")),
            );
            total.add(&tally);
        }
        println!("\n{count} seeds from {first}\n{total}");
        wrongs.extend(total.unseen(count, few));
        if wrongs.is_empty() {
            return Ok(());
        }
        let more = wrongs.len().saturating_sub(40);
        wrongs.truncate(40);
        Err(format!("{}\nand {more} more", wrongs.join("\n")).into())
    })
}
