//! Processes that open a store: this very program, started once more.

use std::process::{Command, ExitCode};

use tower_callback::testing::conformance::serve;

#[path = "../support/faketime.rs"]
mod faketime;

pub(crate) use faketime::missing as missing_for_wrong_clocks;

const VARIABLE: &str = "TOWER_CALLBACK_TEST_STORE";

/// This program, told to serve what is at a place, with a wall clock that is off by so many days.
/// `None` where a wall clock cannot be wrong.
pub(crate) fn command(place: &str, days_off: i64) -> Option<Command> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(VARIABLE, place);
    if days_off != 0 {
        command
            .env("LD_PRELOAD", faketime::library()?)
            .env("FAKETIME", format!("{days_off:+}d"))
            // Timers go by it, and it is no time of day.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    Some(command)
}

/// Where this process was told that its store is, if it is one of these.
pub(crate) fn given() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Serves what is at the place, until whoever started this process is gone.
pub(crate) fn run(place: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (kind, at) = place.split_once(':').unwrap();
    runtime.block_on(async {
        match kind {
            #[cfg(feature = "sqlite")]
            "sqlite" => serve(crate::sqlite::open(at).await).await,
            #[cfg(feature = "sqlite")]
            "sqlite behind a spool" => serve(crate::spooled::open(at).await).await,
            #[cfg(feature = "sqlite")]
            "sqlite on a pool" => serve(crate::sqlite::open_on_pool(at).await).await,
            #[cfg(feature = "postgres")]
            "postgres" => serve(crate::postgres::open(at).await).await,
            #[cfg(feature = "redis")]
            "redis" => serve(crate::redis::open(at).await).await,
            "clock" => serve(crate::clock::Clock).await,
            other => panic!("no store is called {other}, at {at}"),
        }
    });
    ExitCode::SUCCESS
}
