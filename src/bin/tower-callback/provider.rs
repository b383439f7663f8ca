//! `provider`: the simulated provider as a server, and as the test of any receiver.

mod target;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::ctrl_c;
use tower_callback::testing::provider::{
    Fault, Faults, SimulatedProvider, SimulationReport, TaskFault, TaskFaults, Truth,
};

use crate::{
    given::Given,
    output::Output,
    proof::Proof,
    send::{clock, fault, kebab, share},
    stop::{Result, Stop},
    text::duration,
};

/// Play the provider: take submissions, render, call back and serve videos; or put a receiver to the test
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// What all chance follows from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Let all times pass so many times as fast, those of timeouts and retries too
    #[arg(long, value_name = "N", default_value_t = 1)]
    scale: u32,
    /// Each fault strikes this share
    #[arg(long, value_name = "SHARE", value_parser = share)]
    faults: Option<f64>,
    /// This fault strikes another share. Of callbacks: duplicate, concurrent, wrong-proof, malformed, slow,
    /// cut, late. Of tasks, for the server: silent, answer-cut and more
    #[arg(long = "fault", value_name = "FAULT=SHARE", value_parser = any_fault)]
    each: Vec<AnyFault>,
    #[command(flatten)]
    serve: Serve,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    proof: Proof,
}

#[derive(clap::Args)]
#[command(next_help_heading = "As a server")]
struct Serve {
    /// The port on 127.0.0.1; a free one, if not given
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The API key that submissions must present: `env:NAME` or `file:PATH`; made up and shown, if not given
    #[arg(long, value_name = "FROM")]
    api_key: Option<Given>,
    /// End when so many tasks were submitted and each has ended and was called back about
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "As a test of a receiver")]
struct Target {
    /// The receiver: http:// or https://, or env:NAME or file:PATH
    #[arg(long = "target", value_name = "URL", conflicts_with_all = ["port", "api_key", "tasks"])]
    url: Option<Given>,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 100, requires = "url")]
    events: usize,
    /// A file in which the receiver writes the task's id on a line of its own, each time that it has handled
    /// one: what is lost inside and handled twice cannot be seen otherwise
    #[arg(long, value_name = "FILE", requires = "url")]
    handled: Option<std::path::PathBuf>,
    /// How long to wait for what is acknowledged to be handled
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, requires = "url")]
    settle: Duration,
}

const AFTER: &str = "\
With --target it is a black-box test of any receiver, in any language: events come more than once, at the
same moment, in another order, slowly, cut off, forged and unreadable, and are tried again 1, 5 and 15
minutes after failures. It counts what a provider can count:

  lost                 no attempt was answered with 200, or (--handled) it was and nothing came of it
  handled twice        with --handled alone
  answered too late    not within 15 s
  forged, accepted     a wrong proof was answered with 200
  unreadable, dropped  what nobody can read was answered with 200, and is lost in silence

Ends with 0 if all of them are 0. Give it --scale only if the receiver's own times are as fast.
Exit codes: see `tower-callback --help`.

Examples:
  tower-callback provider --port 8088
  tower-callback provider --seed 7 --fault silent=0.3 --scale 60
  tower-callback provider --target http://127.0.0.1:8080/callback --token env:CALLBACK_SECRET
  tower-callback provider --target http://127.0.0.1:8080/callback --events 1000 --handled handled.txt";

#[derive(Clone, Copy)]
enum AnyFault {
    Callback(Fault, f64),
    Task(TaskFault, f64),
}

fn any_fault(text: &str) -> std::result::Result<AnyFault, String> {
    let (name, of_task) = text.split_once('=').ok_or("write it as duplicate=0.1")?;
    let known = |fault: &&TaskFault| kebab(&format!("{fault:?}")) == name;
    match TaskFault::ALL.iter().find(known) {
        Some(fault) => Ok(AnyFault::Task(*fault, share(of_task)?)),
        None => fault(text)
            .map(|(fault, share)| AnyFault::Callback(fault, share))
            .map_err(|error| {
                let names = TaskFault::ALL
                    .iter()
                    .map(|fault| kebab(&format!("{fault:?}")));
                format!(
                    "{error}; of tasks, {}",
                    names.collect::<Vec<_>>().join(", ")
                )
            }),
    }
}

impl Args {
    fn callback_faults(&self, usual: Faults) -> Faults {
        let faults = self.faults.map_or(usual, Faults::all);
        self.each.iter().fold(faults, |faults, fault| match *fault {
            AnyFault::Callback(fault, share) => faults.with(fault, share),
            AnyFault::Task(..) => faults,
        })
    }

    fn task_faults(&self) -> TaskFaults {
        let faults = self.faults.map_or_else(TaskFaults::none, TaskFaults::all);
        self.each.iter().fold(faults, |faults, fault| match *fault {
            AnyFault::Task(fault, share) => faults.with(fault, share),
            AnyFault::Callback(..) => faults,
        })
    }
}

pub(crate) async fn run(args: Args, out: &mut Output) -> Result {
    match &args.target.url {
        Some(url) => target::run(&args, url, out).await,
        None => serve(&args, out).await,
    }
}

async fn serve(args: &Args, out: &mut Output) -> Result {
    let mut builder = SimulatedProvider::builder()
        .port(args.serve.port)
        .seed(args.seed)
        .clock(clock(args.scale))
        .faults(args.callback_faults(Faults::none()))
        .task_faults(args.task_faults());
    if let Some(key) = &args.serve.api_key {
        builder = builder.api_key(&*key.secret("--api-key")?);
    }
    let provider = builder.start().await;
    let provider = provider.map_err(|error| Stop::unavailable("the port", &error))?;
    if !out.is_json() {
        explain(args, &provider, out)?;
    }
    tokio::select! {
        ended = ctrl_c() => ended?,
        () = until_done(&provider, args.serve.tasks) => {}
    }
    let report = provider.stop().await;
    match out.is_json() {
        true => out.json(&told(&report)),
        false => out.line(report),
    }
}

fn explain(args: &Args, provider: &SimulatedProvider, out: &mut Output) -> Result {
    let base = provider.base_url();
    // One that was made up is nobody's secret; one that was given is not shown.
    let key = match &args.serve.api_key {
        None => provider.api_key().to_owned(),
        Some(given) => format!("({})", given.place()),
    };
    out.line(format_args!("the API   {base}"))?;
    out.line(format_args!("the key   {key}"))?;
    out.line(format_args!(
        "submit    curl {base}/api/v1/mp4/generate -H 'Authorization: Bearer …' \
         -d '{{\"taskId\":\"music-1\",\"audioId\":\"audio-1\",\"callBackUrl\":\"http://127.0.0.1:8080/callback\"}}'"
    ))?;
    out.line(format_args!(
        "ask       curl '{base}/api/v1/mp4/record-info?taskId=…' -H 'Authorization: Bearer …'"
    ))?;
    out.line("Ctrl-C ends it, with a report.")?;
    out.line("")
}

/// Until so many tasks were submitted, have ended and were called back about; for ever otherwise.
async fn until_done(provider: &SimulatedProvider, tasks: Option<usize>) {
    let Some(tasks) = tasks else {
        return std::future::pending().await;
    };
    while provider.report().tasks().len() < tasks {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    provider.until_idle().await;
}

fn told(report: &SimulationReport) -> Value {
    let tasks = report.tasks().iter().map(|task| {
        json!({
            "task_id": *task.task_id,
            "music_task_id": task.music_task_id,
            "audio_id": task.audio_id,
            "truth": match task.truth {
                Truth::Pending => "pending",
                Truth::Succeeded => "succeeded",
                Truth::Failed { .. } => "failed",
            },
            "acknowledged": task.acknowledged,
            "callbacks": task.attempts.len(),
            "details": task.details_calls,
            "downloads": task.downloads,
        })
    });
    json!({
        "tasks": tasks.collect::<Vec<_>>(),
        "paid_twice": report.paid_twice().count(),
        "deceived": report.deceived(),
    })
}
