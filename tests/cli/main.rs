//! The command, run as people run it: on real stores and servers, with its output read back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command;
mod doctor;
mod inbox;
mod provider;
mod receiver;
mod send;
#[path = "../servers/mod.rs"]
mod servers;
mod store;
mod terminal;
mod tls;
mod transcripts;
mod url;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let trials = [
        command::trials(),
        doctor::trials(),
        inbox::trials(),
        provider::trials(),
        send::trials(),
        store::trials(),
        terminal::trials(),
        transcripts::trials(),
        url::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// A trial of each of these functions, which are futures, named as they are.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(
                concat!(module_path!(), "::", stringify!($test)),
                || {
                    crate::block_on($test());
                    Ok(())
                },
            )),*]
        }
    };
}
use trials;
