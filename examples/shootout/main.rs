//! Three receivers of callbacks, each a process of its own, and a provider that calls all of them the same
//! way: with repeats, forgeries and nonsense, some in the wrong order, while the receivers are killed
//! and started again. Then it is counted, from outside, what they did.
//!
//! ```text
//! cargo run --features sqlite,testing --example shootout              ten times as fast as real time: takes three minutes
//! cargo run --features sqlite,testing --example shootout -- --once    fifty times as fast: takes less than one
//! ```
//!
//! The receiver on Express needs `node`, `npm` and the network, and is left out without them.

mod bout;
mod contender;
mod express;
mod naive;
mod ours;
mod tally;
mod work;

use std::{env, net::SocketAddr, process::ExitCode};

use tokio::{
    io::{AsyncReadExt, stdin},
    net::TcpListener,
};
use tower_callback::BoxError;

use self::{contender::Contender, tally::Tally, work::Work};

const SECRET: &str = "read-this-from-your-configuration";
const PATH: &str = "/music-video-callback";

/// How much faster than ours the provider's time runs.
const SPEED: u32 = 10;
const SPEED_ONCE: u32 = 50;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &*arguments {
        // What the shoot-out starts, and kills.
        [role, address, journal, speed] => {
            let listener = TcpListener::bind(address.parse::<SocketAddr>()?).await?;
            let work = Work::new(journal.as_ref(), speed.parse()?);
            tokio::select! {
                ended = receive(role, listener, work) => ended?,
                () = parent_ends() => {}
            }
            Ok(ExitCode::SUCCESS)
        }
        [once] if once == "--once" => shoot_out(SPEED_ONCE).await,
        _ => shoot_out(SPEED).await,
    }
}

async fn receive(role: &str, listener: TcpListener, work: Work) -> Result<(), BoxError> {
    match role {
        "naive" => naive::serve(listener, work).await,
        _ => ours::serve(listener, work).await,
    }
}

/// Resolves when the process that started this one is gone, however it ended.
async fn parent_ends() {
    let mut byte = [0];
    while stdin().read(&mut byte).await.is_ok_and(|read| read > 0) {}
}

/// All of them at the same time, so that a busy machine is as busy for each.
async fn shoot_out(speed: u32) -> Result<ExitCode, BoxError> {
    let directory = tempfile::tempdir()?;
    let mut contenders = vec![Contender::Naive, Contender::Ours];
    match express::install(directory.path()).await {
        Ok(receiver) => contenders.insert(0, Contender::Express(receiver)),
        Err(why) => println!("without the receiver on Express: {why}\n"),
    }
    let minutes = bout::DURATION.as_secs() / 60;
    println!("{minutes} minutes of the provider's time, at {speed} times the speed …\n");
    let bouts: Vec<_> = contenders
        .into_iter()
        .map(|contender| {
            let name = contender.name();
            let bout = bout::run(contender, speed, directory.path().to_owned());
            (name, tokio::spawn(bout))
        })
        .collect();

    println!("{}", Tally::HEAD);
    let mut is_right = true;
    for (name, bout) in bouts {
        let tally = bout.await??;
        println!("| {name} {tally}");
        if name == Contender::Ours.name() {
            is_right = tally.keeps_our_promise();
        }
    }
    Ok(match is_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
