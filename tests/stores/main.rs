//! The shipped stores keep the contract, and the suite that says so can tell a broken store.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod broken;
mod child;
mod clock;
mod flaws;
mod flaws_of_calls;
mod flaws_of_completion;
mod flaws_of_inspect;
mod memory;
mod own;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[path = "../servers/mod.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod spooled;
#[cfg(feature = "sqlite")]
mod sqlite;
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(place) = child::given() {
        return child::run(&place);
    }
    broken::hush_expected_panics();
    let trials = [
        memory::trials(),
        #[cfg(feature = "sqlite")]
        sqlite::trials(),
        clock::trials(),
        #[cfg(feature = "postgres")]
        postgres::trials(),
        #[cfg(feature = "redis")]
        redis::trials(),
        #[cfg(feature = "sqlite")]
        spooled::trials(),
        own::trials(),
        broken::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
