//! What the Redis store promises beyond the contract of every store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod cuts;
mod ends;
#[path = "../support/faketime.rs"]
mod faketime;
mod machine;
mod memory;
mod replicas;
mod scripts;
mod server;
#[path = "../servers/mod.rs"]
mod servers;
mod settings;
#[path = "../support/small_disk.rs"]
mod small_disk;
#[path = "../support/strace.rs"]
mod strace;

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tower_callback::{
    RedisStore,
    store::{
        Action, Inbox, Inserted, Leased, NewRecord, Queue, RedisConnectError, RedisOptions,
        Settled, Settlement, Store,
    },
};

use servers::{
    cannot_run,
    redis::{Redis, missing},
};

/// What never ends while a test runs.
const LONG: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let trials = [
        settings::trials(),
        scripts::trials(),
        server::trials(),
        ends::trials(),
        machine::trials(),
        memory::trials(),
        cuts::trials(),
        replicas::trials(),
        cluster::trials(),
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

/// Every function as a test of its name.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::trial(stringify!($name), $name)),*]
        }
    };
}
pub(crate) use trials;

async fn open(server: &Redis, options: RedisOptions) -> Result<RedisStore, RedisConnectError> {
    options.connect(server.url()).await
}

fn events() -> Queue {
    Queue::events("test")
}

fn event(key: impl Into<String>) -> NewRecord {
    let key = key.into();
    NewRecord::new(events(), key.clone(), format!("body of {key}"))
}

async fn put(store: &RedisStore, record: &NewRecord) -> Inserted {
    store.insert(std::slice::from_ref(record)).await.unwrap()[0]
}

async fn one(store: &RedisStore) -> Leased {
    let mut leased = store.lease(&events(), 1, LONG).await.unwrap();
    leased.pop().expect("something is due")
}

async fn end(store: &RedisStore, leased: &Leased, action: Action) -> Settled {
    let settlement = Settlement::new(leased.lease.clone(), action);
    store.settle(&[settlement]).await.unwrap()[0]
}

/// Repeats a call until it succeeds, as everybody does who is told that a store is unavailable.
async fn at_last<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut call: impl FnMut() -> F,
) -> T {
    let start = std::time::Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(
                start.elapsed() < Duration::from_secs(60),
                "{what}: never, {error:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An error with everything behind it.
fn whole_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
