//! What `tower-callback` costs, beside those who do the same work. Each command prints Markdown, and
//! ends with 0 only if every answer on the way was the right one.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml -- --help
//! ```

mod instructions;
mod payload;
mod receivers;
mod scenarios;
mod table;

use clap::{Parser, Subcommand};
use tower_callback::BoxError;

#[derive(Parser)]
#[command(about = "What tower-callback costs, beside those who do the same work")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Instructions and allocations of one request, one parse, one proof, counted by valgrind
    Instructions(instructions::Options),
    /// One scenario many times, for valgrind to count
    #[command(hide = true)]
    Scenario { name: String, times: u32 },
}

fn main() -> Result<(), BoxError> {
    match Cli::parse().command {
        Command::Instructions(options) => instructions::run(&options),
        Command::Scenario { name, times } => scenarios::run(&name, times),
    }
}
