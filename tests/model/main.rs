//! Every store does what a small model of it does, whatever it is told: any sequence of inserts,
//! leases, settlements, purges and operators' orders, while time goes on.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[path = "../servers/mod.rs"]
mod servers;
mod shared;

use std::{cell::RefCell, panic::AssertUnwindSafe, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use proptest::{
    prelude::any,
    test_runner::{Config, TestCaseError, TestRunner},
};

use shared::{Limits, Sequence, Subject, agree};

fn main() -> ExitCode {
    // Told once, when the sequence is as short as it can be.
    std::panic::set_hook(Box::new(|_| {}));
    let trials = vec![
        trial(
            "memory",
            2000,
            || None,
            async |limits| shared::memory::Memory::new(limits),
        ),
        trial("sqlite", 200, || None, shared::sqlite::Sqlite::new),
        #[cfg(feature = "postgres")]
        trial(
            "postgres",
            16,
            servers::postgres::missing,
            postgres::Postgres::new,
        ),
        #[cfg(feature = "redis")]
        trial("redis", 100, servers::redis::missing, redis::Redis::new),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test of so many sequences, each on an empty store.
fn trial<S: Subject>(
    store: &str,
    cases: u32,
    missing: fn() -> Option<String>,
    make: impl AsyncFn(Limits) -> S + Send + 'static,
) -> Trial {
    let name = format!("{store}::every_sequence_of_calls_is_answered_as_the_model_answers_it");
    Trial::ignorable_test(name, move || {
        if let Some(reason) = missing() {
            return servers::cannot_run(reason);
        }
        every_sequence(cases, make)
    })
}

fn every_sequence<S: Subject>(
    cases: u32,
    make: impl AsyncFn(Limits) -> S,
) -> Result<Completion, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let config = Config {
        cases,
        max_shrink_iters: 500,
        failure_persistence: None,
        ..Config::default()
    };
    let sequences = proptest::collection::vec(any::<u8>(), 0..250);
    let idle: RefCell<Vec<(Limits, S)>> = RefCell::default();
    let ran = TestRunner::new(config).run(&sequences, |bytes| {
        let sequence = Sequence::read(&bytes);
        let limits = sequence.limits;
        let run = || {
            runtime.block_on(async {
                let known = idle.borrow().iter().position(|(of, _)| *of == limits);
                let mut subject = match known {
                    Some(at) => idle.borrow_mut().remove(at).1,
                    None => make(limits).await,
                };
                agree(&mut subject, &sequence).await;
                subject.clear().await;
                idle.borrow_mut().push((limits, subject));
            });
        };
        std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or(panic.downcast_ref().copied());
            let message = message.unwrap_or_default();
            TestCaseError::fail(format!("{message}\n{sequence:#?}"))
        })
    });
    ran.map_err(|error| error.to_string())?;
    Ok(Completion::Completed)
}
