//! What `tower-callback` costs, beside those who do the same work. Each command prints Markdown, and
//! ends with 0 only if every answer on the way was the right one.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml -- --help
//! ```

mod borrowed;
mod by_hand;
mod cores;
mod databases;
mod docs;
mod download;
mod e2e;
mod instructions;
mod machine;
mod memory;
mod payload;
mod receivers;
mod scenarios;
mod serve;
mod statistics;
mod stores;
mod table;

use clap::{Parser, Subcommand};
use tower_callback::BoxError;

#[derive(Parser)]
#[command(about = "What tower-callback costs, beside those who do the same work")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    docs: docs::Docs,
}

#[derive(Subcommand)]
enum Command {
    /// Whole receivers over real sockets, beside their peers
    E2e(e2e::Options),
    /// Inserts, leases and settlements without sockets, beside their peers
    Stores(stores::Options),
    /// Inserts beside many remembered records, and the bytes of each
    Growth(stores::GrowthOptions),
    /// A large video, beside curl
    Download(download::Options),
    /// Instructions and allocations of one request, one parse, one proof, counted by valgrind
    Instructions(instructions::Options),
    /// A receiver, for the load to be sent to
    #[command(hide = true)]
    Serve(serve::Options),
    /// A video, by the downloader
    #[command(hide = true)]
    Fetch(download::FetchOptions),
    /// One scenario many times, for valgrind to count
    #[command(hide = true)]
    Scenario { name: String, times: u32 },
}

fn main() -> Result<(), BoxError> {
    let Cli { command, docs } = Cli::parse();
    match command {
        Command::E2e(options) => e2e::run(&options, &docs),
        Command::Stores(options) => stores::run(&options, &docs),
        Command::Growth(options) => stores::grow(&options, &docs),
        Command::Download(options) => download::run(&options, &docs),
        Command::Fetch(options) => download::fetch_one(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Instructions(options) => instructions::run(&options, &docs),
        Command::Scenario { name, times } => scenarios::run(&name, times),
    }
}
