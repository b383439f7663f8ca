//! The shipped stores keep the contract, and the suite that says so can tell a broken store.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod broken;
mod flaws;
mod flaws_of_inspect;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
#[path = "../servers/mod.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    broken::hush_expected_panics();
    let trials = [
        memory::trials(),
        #[cfg(feature = "sqlite")]
        sqlite::trials(),
        #[cfg(feature = "redis")]
        redis::trials(),
        #[cfg(feature = "postgres")]
        postgres::trials(),
        broken::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
