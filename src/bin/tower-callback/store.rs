//! `store`: whether a database keeps what it promises.

use std::{
    env, panic,
    pin::pin,
    process::Command as Process,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use tokio::{signal::ctrl_c, task::JoinSet};
use tower_callback::testing::conformance::{
    Clause, Outcome, Scratch, clauses, inspect_clauses, serve_scratch,
};

use crate::{
    given::Given,
    inbox::store_url,
    output::{Output, green, progress, red, yellow},
    stop::{Result, Stop},
    text::plain,
};

/// Try a database
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(Check),
    /// Serves a scratch store to the process that checks it.
    #[command(hide = true)]
    Serve,
}

/// Run the conformance suite on your own database, beside what is there
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Check {
    /// sqlite:PATH, postgres://… or redis://…, or env:NAME or file:PATH
    #[arg(value_name = "STORE-URL")]
    url: Given,
    /// Only the clauses whose name holds this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

const AFTER: &str = "\
It makes stores of its own, and removes them in the end, also after Ctrl-C: files beside the SQLite file,
schemas `tower_callback_check_…` in PostgreSQL (the role must be allowed to make them), names
`tower-callback-check-…` in Redis. What is there is not touched. It takes some minutes, and connections and
disk like a busy service. The clauses that cut connections and set clocks wrong need a laboratory, and are
left out.
Exit codes: see `tower-callback --help`.

Examples:
  tower-callback store check sqlite:callbacks.db
  tower-callback store check env:DATABASE_URL --only lease --json";

pub(crate) async fn run(command: Command, out: &mut Output) -> Result {
    match command {
        Command::Check(args) => check(&args, out).await,
        Command::Serve => serve_scratch()
            .await
            .map_err(|error| Stop::unavailable("the scratch store", &error)),
    }
}

async fn check(args: &Check, out: &mut Output) -> Result {
    let url = store_url(&args.url, None)?;
    let scratch = Scratch::on(url).with_processes(|| {
        let mut command = Process::new(env::current_exe()?);
        command.args(["store", "serve"]);
        Ok(command)
    });
    let scratch = Arc::new(scratch);
    let ended = try_all(args, &scratch, out).await;
    let removed = scratch.remove().await.map_err(|error| {
        Stop::unavailable("what was made for the check is not all removed", &error)
    });
    ended.and(removed)
}

/// What became of a clause.
struct Tried {
    name: &'static str,
    outcome: &'static str,
    why: Option<String>,
}

async fn try_all(args: &Check, scratch: &Arc<Scratch>, out: &mut Output) -> Result {
    let clauses = clauses().into_iter().chain(inspect_clauses());
    let wanted = |clause: &Clause<_>| {
        let only = args.only.as_ref();
        only.is_none_or(|only| clause.name.contains(only.as_str()))
    };
    let clauses: Vec<_> = clauses.filter(wanted).collect();
    if clauses.is_empty() {
        return Err(Stop::usage("no clause has that in its name"));
    }
    // A broken clause panics, and is told here.
    let said = Arc::new(Mutex::new(String::new()));
    let hear = Arc::clone(&said);
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("it panicked");
        *hear.lock().unwrap_or_else(PoisonError::into_inner) = message.to_owned();
    }));
    let bar = progress(Some(clauses.len() as u64), "clauses");
    let mut tried = Vec::new();
    let mut running = JoinSet::new();
    let mut interrupted = pin!(ctrl_c());
    for clause in clauses {
        let name = clause.name;
        let scratch = Arc::clone(scratch);
        running.spawn(async move { clause.run(&*scratch).await });
        let ran = tokio::select! {
            ran = running.join_next() => ran,
            ended = &mut interrupted => {
                ended?;
                // What it is at must be over before what was made is removed.
                running.shutdown().await;
                return Err(Stop::unconfirmed("interrupted"));
            }
        };
        let Some(ran) = ran else { continue };
        let (outcome, why) = match ran {
            Ok(Outcome::Kept) => ("kept", None),
            Ok(Outcome::DoesNotApply { because }) => ("left out", Some(because.to_owned())),
            Err(_) => {
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                ("broken", Some(plain(&said)))
            }
        };
        let one = Tried { name, outcome, why };
        if !out.is_json() {
            bar.suspend(|| one.tell(out))?;
        }
        bar.inc(1);
        tried.push(one);
    }
    bar.finish_and_clear();
    // The usual one.
    let _ = panic::take_hook();
    summarize(&tried, out)
}

impl Tried {
    fn tell(&self, out: &mut Output) -> Result {
        let word = format!("{:<9}", self.outcome);
        let word = match self.outcome {
            "kept" => green(&word),
            "broken" => red(&word),
            _ => yellow(&word),
        };
        match &self.why {
            Some(why) => out.line(format_args!("{word} {}: {why}", self.name)),
            None => out.line(format_args!("{word} {}", self.name)),
        }
    }
}

fn summarize(tried: &[Tried], out: &mut Output) -> Result {
    let count = |outcome| tried.iter().filter(|one| one.outcome == outcome).count();
    let (kept, broken, left_out) = (count("kept"), count("broken"), count("left out"));
    if out.is_json() {
        let clauses = tried
            .iter()
            .map(|one| json!({"clause": one.name, "outcome": one.outcome, "why": one.why}));
        let clauses: Vec<_> = clauses.collect();
        out.json(&json!({
            "clauses": clauses, "kept": kept, "broken": broken, "left_out": left_out,
        }))?;
    } else {
        out.line("")?;
        out.line(format_args!(
            "kept {kept}, broken {broken}, left out {left_out}"
        ))?;
    }
    match broken {
        0 => Ok(()),
        _ => Err(Stop::told()),
    }
}
