//! Hours under full load, with everything going wrong: nothing may grow, and nothing may be lost.
//!
//! ```text
//! cargo run --release --all-features --example soak -- --minutes 60 --store sqlite
//! cargo run --release --all-features --example soak -- --minutes 60 --store postgres --store redis
//! cargo run --all-features --example soak -- --once          all three, 40 s each
//! ```
//!
//! A service in a process of its own is called as fast as it answers: with repeats, forgeries and bodies
//! that nobody can read, while handlers fail, and while the store's server is killed and started
//! again or its connections are cut. (An SQLite file is locked by somebody else.) Beside that, its memory,
//! descriptors and tasks, the size of the store and the latency of its answers are sampled. In the end the
//! service itself is killed, and another one has to handle what is left.
//!
//! The servers are private ones, started from the machine's binaries. It ends with 0 only if every event that
//! was acknowledged was handled, and nothing has grown.

#[cfg(target_os = "linux")]
mod drift;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod ledger;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
#[path = "../support/postgres.rs"]
mod postgres;
#[cfg(target_os = "linux")]
mod redis;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
#[path = "../support/server.rs"]
mod server;
#[cfg(target_os = "linux")]
mod service;

#[cfg(target_os = "linux")]
#[tokio::main]
async fn main() -> Result<std::process::ExitCode, tower_callback::BoxError> {
    use std::{env, process::ExitCode, time::Duration};

    if let Some(place) = service::given() {
        service::run(&place).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut time = Duration::from_secs(60 * 60);
    let mut kinds = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match &*argument {
            "--once" => time = Duration::from_secs(40),
            "--minutes" => time = Duration::from_secs_f64(value()?.parse::<f64>()? * 60.0),
            "--store" => kinds.push(engine::Kind::of(&value()?)?),
            other => return Err(format!("nobody knows what `{other}` is").into()),
        }
    }
    if kinds.is_empty() {
        kinds = engine::Kind::ALL.to_vec();
    }
    let mut sound = true;
    for kind in kinds {
        sound &= run::soak(kind, time).await?;
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("the soak reads what Linux tells of a process in /proc");
    std::process::ExitCode::FAILURE
}
