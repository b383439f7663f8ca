//! The provider itself, simulated: submit to it, ask it, be called back, and fetch the videos.
//!
//! ```text
//! cargo run --features testing --example provider               serves until Ctrl-C, and prints how to call it
//! cargo run --features testing --example provider -- --once     is its own customer, and ends with 0 if all went right
//!
//! --port 8088         on this port of 127.0.0.1; by default on a free one
//! --seed 7            what all chance follows from
//! --scale 60          an hour passes in a minute
//! --faults 0.1        each fault strikes this share of tasks and callbacks
//! --Silent 0.5        one fault of a task, by its name; so does each other one, in any number
//! ```

mod support;

use std::{env, net::SocketAddr, str::FromStr, time::Duration};

use axum::Router;
use http::StatusCode;
use serde_json::{Value, json};
use support::send;
use tokio::{net::TcpListener, signal::ctrl_c, sync::mpsc, task::JoinSet, time::timeout};
use tower_callback::{
    BoxError, Callbacks, Clock, MemoryStore, MusicVideo, Token,
    testing::provider::{
        Fault, Faults, SimulatedProvider, SimulatedProviderBuilder, TaskFault, TaskFaults, TaskPlan,
        Truth,
    },
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::read(env::args().skip(1))?;
    if arguments.once {
        return demonstrate(arguments.builder).await;
    }
    let provider = arguments.builder.start().await?;
    explain(&provider);
    ctrl_c().await?;
    println!("\n{}", provider.stop().await);
    Ok(())
}

/// What was asked for.
struct Arguments {
    builder: SimulatedProviderBuilder,
    once: bool,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut builder = SimulatedProvider::builder();
        let mut faults = Faults::none();
        let mut task_faults = TaskFaults::none();
        let mut once = false;
        while let Some(argument) = arguments.next() {
            if argument == "--once" {
                once = true;
                continue;
            }
            let name = argument.strip_prefix("--").ok_or("options begin with --")?;
            let value = arguments.next();
            let value = value.ok_or_else(|| format!("{argument} is not followed by a value"))?;
            match name {
                "port" => builder = builder.port(number(&argument, &value)?),
                "seed" => builder = builder.seed(number(&argument, &value)?),
                "scale" => builder = builder.clock(Clock::scaled(number(&argument, &value)?)),
                "faults" => {
                    let share = number(&argument, &value)?;
                    (faults, task_faults) = (Faults::all(share), TaskFaults::all(share));
                }
                _ => {
                    let share = number(&argument, &value)?;
                    let named = |fault: &dyn std::fmt::Debug| format!("{fault:?}") == name;
                    let of_task = TaskFault::ALL.iter().find(|fault| named(fault));
                    let of_callback = Fault::ALL.iter().find(|fault| named(fault));
                    match (of_task, of_callback) {
                        (Some(&fault), _) => task_faults = task_faults.with(fault, share),
                        (_, Some(&fault)) => faults = faults.with(fault, share),
                        _ => {
                            let all = (TaskFault::ALL, Fault::ALL);
                            return Err(format!("{argument} is no option; faults are {all:?}").into());
                        }
                    }
                }
            }
        }
        let builder = builder.faults(faults).task_faults(task_faults);
        Ok(Self { builder, once })
    }
}

fn number<N: FromStr>(argument: &str, value: &str) -> Result<N, BoxError> {
    let number = value.parse();
    number.map_err(|_| format!("{argument} {value}: that is not a number that fits").into())
}

fn explain(provider: &SimulatedProvider) {
    let (base, key) = (provider.base_url(), provider.api_key());
    println!(
        r#"the API   {base}
the key   {key}

submit    curl {base}/api/v1/mp4/generate -H 'Authorization: Bearer {key}' -d '{{"taskId":"music-1","audioId":"audio-1","callBackUrl":"http://127.0.0.1:8080/callback"}}'
ask       curl '{base}/api/v1/mp4/record-info?taskId=…' -H 'Authorization: Bearer {key}'
fetch     curl -O '{base}/videos/…', the videoUrl of the answer

Ctrl-C ends it, with a report."#
    );
}

/// A key for show: yours is 32 random bytes.
const TOKEN: &str = "Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi";

/// Submits four tasks that end in four ways, and sees that all comes as it should.
async fn demonstrate(builder: SimulatedProviderBuilder) -> Result<(), BoxError> {
    let clock = Clock::scaled(60);
    let provider = builder
        .clock(clock.clone())
        .task(TaskPlan::new())
        .task(TaskPlan::failing(451, "no audio"))
        .task(TaskPlan::new().with(TaskFault::Silent))
        .task(TaskPlan::new().with(TaskFault::AnswerCut))
        .start()
        .await?;
    let customer = Customer::start(&provider, clock).await?;

    let [good, bad, quiet] = [
        customer.submit("audio-good").await?,
        customer.submit("audio-bad").await?,
        customer.submit("audio-quiet").await?,
    ];
    if customer.submit("audio-cut").await.is_ok() {
        return Err("the answer should have been cut".into());
    }
    // The same once more: the task was there though its answer was not, and is not paid twice.
    let cut = customer.submit("audio-cut").await?;

    timeout(Duration::from_secs(30), provider.until_idle()).await?;
    for (task, flag) in [
        (&good, "SUCCESS"),
        (&bad, "GENERATE_MP4_FAILED"),
        (&quiet, "SUCCESS"),
        (&cut, "SUCCESS"),
    ] {
        let record = customer.details(task).await?;
        println!("{task}  {}", record["successFlag"]);
        if record["successFlag"] != flag {
            return Err(format!("it should have been {flag}").into());
        }
        if let Some(url) = record["response"]["videoUrl"].as_str() {
            customer.fetch(url).await?;
        }
    }
    let handled = customer.handled().await?;
    println!("called back and handled: {handled:?}");

    let report = provider.stop().await;
    println!("{report}");
    let truths: Vec<_> = report.tasks().iter().map(|task| task.truth).collect();
    let ready = Truth::Succeeded;
    let acknowledged = report.tasks().iter().filter(|task| task.acknowledged).count();
    let numbers = [
        ("truths", truths == [ready, Truth::Failed { code: 451 }, ready, ready]),
        ("acknowledged callbacks", acknowledged == 3),
        ("handled events", handled == [bad, cut, good].map(|it| it).sorted()),
        ("paid twice", report.paid_twice().count() == 0),
        ("calls of generate", report.calls().generate == 5),
        ("downloads", report.tasks().iter().map(|task| task.downloads).sum::<usize>() == 3),
    ];
    match numbers.into_iter().find(|(_, is_right)| !is_right) {
        Some((what, _)) => Err(format!("{what}: not as it should be").into()),
        None => Ok(println!("all went right")),
    }
}
