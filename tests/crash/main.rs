//! Acknowledged means kept: receivers are killed and traced.
//!
//! `CRASHES=500` kills more often, `CRASH_SEED=…` repeats the choices of a run (not its timing).

#![allow(clippy::unwrap_used)]

mod calls;
mod kills;
#[path = "../receiver/mod.rs"]
mod receiver;
mod syncs;
mod trace;
mod witness;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(setup) = receiver::Setup::given() {
        return receiver::serve(&setup);
    }
    let mut trials = vec![
        Trial::test("acknowledged_events_are_handled_through_kills", || {
            kills::run(receiver::Mode::Own)
        }),
        Trial::test("effects_are_applied_exactly_once_through_kills", || {
            kills::run(receiver::Mode::ExactlyOnce)
        }),
    ];
    trials.extend(syncs::trials());
    trials.extend(trace::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
