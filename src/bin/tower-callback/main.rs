//! The command `tower-callback`: see, try and operate what the library does.
//!
//! Each module is a command. What they do is in the library; here is what they are asked, and what they
//! tell.

mod certificate;
mod doctor;
mod given;
mod inbox;
mod output;
mod proof;
mod provider;
mod send;
mod stop;
mod store;
mod text;
mod url;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{
    output::Output,
    stop::{Result, Stop},
};

/// Send callbacks, play the provider, look into the inbox, and find out why no callback comes.
#[derive(Parser)]
#[command(
    name = "tower-callback",
    version,
    arg_required_else_help = true,
    after_help = AFTER
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell everything as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Send(Box<send::Args>),
    Provider(Box<provider::Args>),
    Inbox(inbox::Args),
    #[command(subcommand)]
    Url(url::Command),
    Doctor(Box<doctor::Args>),
    #[command(subcommand)]
    Store(store::Command),
}

const AFTER: &str = "\
Secrets:
  A secret is never written into the command line, where others can read it. Say where it is:
  `env:NAME`, an environment variable, or `file:PATH`, a file. URLs may be given in this way too, since
  they may hold a password or a token. No secret is printed.

Exit codes:
  0  all is well
  1  what was asked for is not so: a callback that was not received, a check that failed, a record that
     is not there or was left as it is
  2  the command line cannot be understood, or a value in it cannot be used
  3  a store, a file or a server cannot be reached or used
  4  nothing was done, because nobody said yes

Examples:
  tower-callback send http://127.0.0.1:8080/music-video-callback --token env:CALLBACK_SECRET
  tower-callback doctor https://example.com/music-video-callback --token env:CALLBACK_SECRET
  tower-callback inbox sqlite:callbacks.db stats
  tower-callback inbox env:DATABASE_URL list --state dead
  tower-callback store check postgres://localhost/app";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to where it was asked for; nobody is left to be told that it does not.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Stop::unavailable("threads", &error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.tell(),
    }
}

async fn run(cli: Cli) -> Result {
    let mut out = Output::new(cli.json);
    match cli.command {
        Command::Send(args) => send::run(*args, &mut out).await,
        Command::Provider(args) => provider::run(*args, &mut out).await,
        Command::Inbox(args) => inbox::run(args, &mut out).await,
        Command::Url(command) => url::run(command, &mut out),
        Command::Doctor(args) => doctor::run(*args, &mut out).await,
        Command::Store(command) => store::run(command, &mut out).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
