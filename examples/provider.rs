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
//! --fault Silent=0.5  this one strikes another share; given as often as you like
//! ```

mod support;

use std::{env, fmt::Debug, net::SocketAddr, str::FromStr, time::Duration};

use axum::Router;
use http::StatusCode;
use serde_json::{Value, json};
use support::send;
use tokio::{net::TcpListener, signal::ctrl_c, sync::mpsc, task::JoinSet, time::timeout};
use tower_callback::{
    BoxError, Callbacks, Clock, Delivery, HandlerError, MemoryStore, MusicVideo, Token,
    testing::provider::{
        Fault, Faults, SimulatedProvider, SimulatedProviderBuilder, TaskFault, TaskFaults,
        TaskPlan, Truth,
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
                "fault" => {
                    let (name, share) = value.split_once('=').ok_or("write --fault Silent=0.5")?;
                    let share = number(&argument, share)?;
                    let is_named = |fault: &dyn Debug| format!("{fault:?}") == name;
                    let of_task = TaskFault::ALL.iter().find(|fault| is_named(fault));
                    let of_callback = Fault::ALL.iter().find(|fault| is_named(fault));
                    match (of_task, of_callback) {
                        (Some(&fault), _) => task_faults = task_faults.with(fault, share),
                        (_, Some(&fault)) => faults = faults.with(fault, share),
                        _ => return Err(format!("{name} is no fault: {}", all_faults()).into()),
                    }
                }
                _ => return Err(format!("{argument} is no option").into()),
            }
        }
        let builder = builder.faults(faults).task_faults(task_faults);
        Ok(Self { builder, once })
    }
}

fn all_faults() -> String {
    format!(
        "there are {:?} of tasks and {:?} of callbacks",
        TaskFault::ALL,
        Fault::ALL
    )
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
    let mut customer = Customer::start(&provider, clock).await?;

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
    let mut handled = customer.handled(3).await?;
    println!("called back and handled: {handled:?}");

    let report = provider.stop().await;
    println!("{report}");
    let truths: Vec<_> = report.tasks().iter().map(|task| task.truth).collect();
    let ready = Truth::Succeeded;
    let mut called_back = [good, bad, cut];
    called_back.sort();
    handled.sort();
    let acknowledged = report
        .tasks()
        .iter()
        .filter(|task| task.acknowledged)
        .count();
    let downloads: usize = report.tasks().iter().map(|task| task.downloads).sum();
    let checks = [
        (
            "truths",
            truths == [ready, Truth::Failed { code: 451 }, ready, ready],
        ),
        ("acknowledged callbacks", acknowledged == 3),
        ("handled events", handled == called_back),
        ("paid twice", report.paid_twice().count() == 0),
        ("calls of generate", report.calls().generate == 5),
        ("downloads", downloads == 3),
    ];
    match checks.into_iter().find(|(_, is_right)| !is_right) {
        Some((what, _)) => Err(format!("{what}: not as it should be").into()),
        None => {
            println!("all went right");
            Ok(())
        }
    }
}

/// Tells which task was handled.
async fn handle(
    handled: mpsc::UnboundedSender<String>,
    delivery: Delivery<MusicVideo>,
) -> Result<(), HandlerError> {
    Ok(handled.send(delivery.event.task_id)?)
}

/// Who submits, and takes the callbacks.
struct Customer {
    provider: SocketAddr,
    bearer: String,
    callback_url: String,
    handled: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Customer {
    async fn start(provider: &SimulatedProvider, clock: Clock) -> Result<Self, BoxError> {
        let (sender, handled) = mpsc::unbounded_channel();
        let (callback, worker) =
            Callbacks::<MusicVideo>::new("music-video", Token::query("token", TOKEN))
                .clock(clock)
                .store(MemoryStore::new())
                .handle(move |delivery| handle(sender.clone(), delivery))
                .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let callback_url = format!("http://{}/callback?token={TOKEN}", listener.local_addr()?);
        let app = Router::new().route_service("/callback", callback);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, app).await;
        });
        tasks.spawn(worker.run_until(std::future::pending()));
        let address = provider.base_url().strip_prefix("http://");
        Ok(Self {
            provider: address.ok_or("the provider speaks plain HTTP")?.parse()?,
            bearer: format!("Bearer {}", provider.api_key()),
            callback_url,
            handled,
            _tasks: tasks,
        })
    }

    /// Submits a track, and gives the task: a new one, or the one that there is already.
    async fn submit(&self, audio: &str) -> Result<String, BoxError> {
        let submission = json!({
            "taskId": "music-1",
            "audioId": audio,
            "callBackUrl": self.callback_url,
        });
        let path = "/api/v1/mp4/generate";
        let answer = self.call("POST", path, &submission.to_string()).await?;
        match answer["code"].as_i64() {
            Some(200 | 409) => {}
            _ => return Err(format!("{audio} was refused: {answer}").into()),
        }
        let task = answer["data"]["taskId"]
            .as_str()
            .ok_or("an answer without a task")?;
        println!("{audio} is {task}, answered with {}", answer["code"]);
        Ok(task.to_owned())
    }

    async fn details(&self, task: &str) -> Result<Value, BoxError> {
        let path = format!("/api/v1/mp4/record-info?taskId={task}");
        Ok(self.call("GET", &path, "").await?["data"].take())
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Result<Value, BoxError> {
        let headers = [("authorization", &*self.bearer)];
        let (_, answer) = send(self.provider, method, path, &headers, body).await?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Fetches the first bytes of a video, and looks whether it is one.
    async fn fetch(&self, url: &str) -> Result<(), BoxError> {
        let path = url.strip_prefix(&format!("http://{}", self.provider));
        let path = path.ok_or("the video is somewhere else")?;
        let headers = [("range", "bytes=0-11")];
        let (status, start) = send(self.provider, "GET", path, &headers, "").await?;
        if status != StatusCode::PARTIAL_CONTENT || start.get(4..12) != Some("ftypisom") {
            return Err(format!("{url} is no video: {status}").into());
        }
        Ok(())
    }

    /// The tasks of so many events.
    async fn handled(&mut self, count: usize) -> Result<Vec<String>, BoxError> {
        let mut tasks = Vec::new();
        while tasks.len() < count {
            let task = timeout(Duration::from_secs(10), self.handled.recv()).await?;
            tasks.extend(task);
        }
        Ok(tasks)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn a_task_is_told_once_however_often_it_is_called_back() {
        let (sender, mut handled) = mpsc::unbounded_channel();
        let test = Harness::handle(move |delivery| handle(sender.clone(), delivery));
        for task in ["task-1", "task-1", "task-2"] {
            test.receive(callback(task)).await;
        }
        test.settled().await;
        drop(test);
        let mut tasks = Vec::new();
        while let Some(task) = handled.recv().await {
            tasks.push(task);
        }
        tasks.sort();
        assert_eq!(tasks, ["task-1", "task-2"]);
    }
}
