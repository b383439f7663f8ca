//! What the Postgres store promises beyond the contract of every store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod complete;
#[path = "../support/faketime.rs"]
mod faketime;
mod faults;
mod machine;
mod migrations;
mod plans;
mod races;
mod server;
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../support/small_disk.rs"]
mod small_disk;
#[path = "../support/strace.rs"]
mod strace;
mod support;
mod wake;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use servers::{cannot_run, postgres::missing};

fn main() -> ExitCode {
    let trials = [
        server::trials(),
        migrations::trials(),
        complete::trials(),
        faults::trials(),
        machine::trials(),
        plans::trials(),
        races::trials(),
        wake::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that needs a server.
fn trial<F>(name: &'static str, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    trial_that_needs(name, missing, test)
}

fn trial_that_needs<F>(
    name: &'static str,
    missing: fn() -> Option<String>,
    test: fn() -> F,
) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::ignorable_test(name, move || -> Result<Completion, Failed> {
        if let Some(reason) = missing() {
            return cannot_run(reason);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(test());
        Ok(Completion::Completed)
    })
}
