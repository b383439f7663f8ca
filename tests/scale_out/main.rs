//! Many fronts and many workers, each in a process of its own, on one engine: what is acknowledged is
//! handled, and takes effect once, whoever is killed, frozen, restarted or cut off.
//!
//! `EVENTS=100000` is the whole: as many callbacks instead of a few thousand, and an engine that is away
//! for 30 seconds instead of five. `OUTAGE=…` says for how many, `SCALE_SEED=…` repeats the choices of a
//! run (not its timing).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod chaos;
mod effects;
mod engine;
mod fleet;
mod front;
mod frozen;
mod journal;
mod lane;
mod outage;
mod poison;
mod role;
mod rolling;
#[path = "../servers/mod.rs"]
mod servers;
mod silent;
mod watched;
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use self::{engine::Kind, servers::cannot_run};

fn main() -> ExitCode {
    if let Some(setup) = role::Setup::given() {
        return role::run(&setup);
    }
    let trials = [
        chaos::trials(),
        frozen::trials(),
        rolling::trials(),
        outage::trials(),
        poison::trials(),
        silent::trials(),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The same test on each engine.
fn trials<F>(name: &str, test: fn(Kind) -> F) -> Vec<Trial>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let on = |kind: Kind| {
        let name = format!("{name}_on_{}", kind.name());
        Trial::ignorable_test(name, move || -> Result<Completion, Failed> {
            if let Some(reason) = kind.missing() {
                return cannot_run(reason);
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(test(kind))?;
            Ok(Completion::Completed)
        })
    };
    vec![on(Kind::Postgres), on(Kind::Redis)]
}

/// A number that somebody chose in the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// The names and numbers of a report, one in a line.
fn report(title: &str, lines: &[(&str, u64)]) -> String {
    let mut report = format!("\n{title}\n");
    for (name, number) in lines {
        report.push_str(&format!("  {name:<38}{number:>8}\n"));
    }
    report
}

/// Fails with the report and everything that is wrong.
fn judge(report: &str, wrongs: &[String]) -> Result<(), String> {
    match wrongs {
        [] => Ok(()),
        wrongs => Err(format!("{report}\n{}", wrongs.join("\n"))),
    }
}
