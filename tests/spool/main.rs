//! A spool in front of a store that fails by script: nothing is lost, nothing is doubled, the order is
//! kept.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod answers;
#[path = "../../src/testing/capture.rs"]
mod capture;
mod engine;
mod file;
mod forwarding;
mod front;
mod kills;
mod limits;
mod traces;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Trials of async functions, each in a runtime of its own, named after them.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(
                concat!(module_path!(), "::", stringify!($name)),
                || {
                    crate::engine::run($name());
                    Ok(())
                },
            )),*]
        }
    };
}
pub(crate) use trials;

fn main() -> ExitCode {
    if let Some(child) = kills::Child::given() {
        return child.run();
    }
    let trials = [
        answers::trials(),
        file::trials(),
        forwarding::trials(),
        front::trials(),
        kills::trials(),
        limits::trials(),
        traces::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
