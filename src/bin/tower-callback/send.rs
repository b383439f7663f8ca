//! `send`: callbacks as the provider sends them.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tower_callback::{
    Clock, MusicVideo,
    store::RecordId,
    testing::provider::{Answer, Attempt, Caller, Fault, Faults, Planned, Report, Schedule},
};

use crate::{
    given::Given,
    output::{Output, progress, red},
    proof::Proof,
    stop::{Result, Stop},
    text::{duration, millis, plain},
};

/// Send callbacks to a URL, as the provider would, and see each answer and how long it took
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// Where to: http:// or https://, or env:NAME or file:PATH if the URL itself holds a secret
    url: Given,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    content: Content,
    /// How many more times each callback is sent after it was received
    #[arg(long, value_name = "N", default_value_t = 0)]
    duplicates: usize,
    /// How many more times each callback is sent at the very same moment
    #[arg(long, value_name = "N", default_value_t = 0)]
    concurrent: usize,
    /// A fault that strikes this share of the callbacks: duplicate, concurrent, wrong-proof, malformed,
    /// slow, cut or late
    #[arg(long = "fault", value_name = "FAULT=SHARE", value_parser = fault)]
    faults: Vec<(Fault, f64)>,
    /// What all chance follows from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many callbacks begin each second; as fast as they are answered, if not given
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Try again after failures: `--retry` as the provider does, after 1, 5 and 15 minutes, or
    /// `--retry=1s,5s`
    #[arg(long, value_name = "TIMES", num_args = 0..=1, require_equals = true,
          default_missing_value = "1m,5m,15m", value_delimiter = ',', value_parser = duration)]
    retry: Vec<Duration>,
    /// How long the provider waits for an answer
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    timeout: Duration,
    /// Let all times pass so many times as fast, those of timeouts too
    #[arg(long, value_name = "N", default_value_t = 1)]
    scale: u32,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Content")]
struct Content {
    /// The task that it is about; given as often as you like
    #[arg(long = "task", value_name = "ID")]
    tasks: Vec<String>,
    /// So many callbacks, about tasks with ids of their own
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "tasks")]
    count: usize,
    /// The result: 200 is a success, all others are failures
    #[arg(long, value_name = "N", default_value_t = 200)]
    code: i64,
    /// The message of a failure
    #[arg(long, default_value = "Music video generation failed")]
    msg: String,
    /// The URL of the video
    #[arg(long, value_name = "URL")]
    video_url: Option<String>,
    /// Ids, codes and bodies that follow from the seed, failures and odd ones among them
    #[arg(long, conflicts_with_all = ["tasks", "code", "msg", "video_url"])]
    made_up: bool,
    /// The bodies in this file instead, one on each line, as `inbox … export --bodies` writes them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tasks", "count", "code", "msg", "video_url", "made_up"])]
    replay: Option<PathBuf>,
}

const AFTER: &str = "\
Ends with 0 when every callback was received: answered with 200, if not at once, then after a retry.
Exit codes: see `tower-callback --help`.

Examples:
  One success, proven by a token in the query:
    tower-callback send http://127.0.0.1:8080/callback --token env:CALLBACK_SECRET
  A failure of a task of yours, signed as kie.ai does:
    tower-callback send https://example.com/callback --task task-1 --code 451 --sign kie --key file:kie.key
  Five hundred, ten a second, some twice at the same moment, with the provider's retries:
    tower-callback send env:CALLBACK_URL --count 500 --rate 10 --fault concurrent=0.1 --retry
  What a service had received, once more:
    tower-callback send http://127.0.0.1:8080/callback --replay bodies.jsonl --token env:CALLBACK_SECRET";

/// `Silent=0.5`, in words of the command line.
pub(crate) fn fault(text: &str) -> std::result::Result<(Fault, f64), String> {
    let (name, share) = text.split_once('=').ok_or("write it as duplicate=0.1")?;
    let known = |fault: &&Fault| kebab(&format!("{fault:?}")) == name;
    let fault = Fault::ALL.iter().find(known).ok_or_else(|| {
        let names: Vec<_> = Fault::ALL
            .iter()
            .map(|fault| kebab(&format!("{fault:?}")))
            .collect();
        format!("there is {}", names.join(", "))
    })?;
    Ok((*fault, self::share(share)?))
}

pub(crate) fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

/// `WrongProof` as `wrong-proof`.
pub(crate) fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(character.to_lowercase());
    }
    kebab
}

pub(crate) fn clock(scale: u32) -> Clock {
    match scale {
        0 | 1 => Clock::system(),
        scale => Clock::scaled(scale),
    }
}

/// A caller with all that proves it.
pub(crate) fn caller(url: &Given, proof: &Proof) -> Result<Caller> {
    let carried = proof.carried(&url.read()?)?;
    let caller = Caller::to(&*carried.url);
    let mut caller = caller.map_err(|error| Stop::usage(error.to_string()))?;
    for (name, value) in carried.headers {
        caller = caller.header(name, value);
    }
    Ok(match carried.signer {
        Some(signer) => caller.sign(signer),
        None => caller,
    })
}

pub(crate) async fn run(args: Args, out: &mut Output) -> Result {
    let mut faults = Faults::none();
    for (fault, share) in &args.faults {
        faults = faults.with(*fault, *share);
    }
    let caller = caller(&args.url, &args.proof)?
        .clock(clock(args.scale))
        .schedule(Schedule::new(args.timeout, args.retry.iter().copied()))
        .seed(args.seed)
        .faults(faults)
        .pace(match args.rate {
            Some(rate) => Duration::from_secs(1) / rate.max(1),
            None => Duration::ZERO,
        });
    let (mut caller, count) = if args.content.made_up {
        (caller.events(args.content.count), args.content.count)
    } else {
        let planned = args.content.planned()?;
        let count = planned.len();
        (
            planned.into_iter().fold(caller, |caller, mut planned| {
                for _ in 0..args.duplicates {
                    planned = planned.with(Fault::Duplicate);
                }
                for _ in 0..args.concurrent {
                    planned = planned.with(Fault::Concurrent);
                }
                caller.event(planned)
            }),
            count,
        )
    };
    if !out.is_json() {
        // Many callbacks have a bar beside their lines.
        let bar = (count > 20).then(|| progress(Some(count as u64), "received"));
        caller = caller.observe(move |attempt| {
            let line = line(attempt);
            match &bar {
                Some(bar) => {
                    bar.suspend(|| anstream::println!("{line}"));
                    bar.inc(u64::from(
                        attempt.kind.is_genuine() && attempt.is_received(),
                    ));
                }
                None => anstream::println!("{line}"),
            }
        });
    }
    let report = caller.run().await;
    let totals = report.totals();
    if out.is_json() {
        out.json(&told(&report))?;
    } else {
        out.line("")?;
        out.line(totals)?;
    }
    match totals.given_up {
        0 => Ok(()),
        _ => Err(Stop::told()),
    }
}

impl Content {
    fn planned(&self) -> Result<Vec<Planned>> {
        if let Some(path) = &self.replay {
            return replayed(path);
        }
        let made_up = || {
            let id = RecordId::random().to_string();
            (1..=self.count).map(move |number| format!("test-{}-{number}", &id[..8]))
        };
        let tasks: Vec<String> = match self.tasks.is_empty() {
            true => made_up().collect(),
            false => self.tasks.clone(),
        };
        let event = |task: String| {
            let url = self.video_url.clone();
            let event = match self.code {
                0 | 200 => {
                    let url = url.unwrap_or_else(|| format!("https://example.com/{task}.mp4"));
                    let mut event = MusicVideo::succeeded(task, url);
                    event.code = self.code;
                    event
                }
                code => MusicVideo::failed(task, code, self.msg.as_str()),
            };
            Planned::from(event)
        };
        Ok(tasks.into_iter().map(event).collect())
    }
}

/// One body on each line. Its id and code are for what is told here alone.
fn replayed(path: &PathBuf) -> Result<Vec<Planned>> {
    let text = fs::read_to_string(path)
        .map_err(|error| Stop::unavailable(&path.display().to_string(), &error))?;
    let bodies = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    let planned = bodies.map(|(number, body)| {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let id = ["/data/task_id", "/data/taskId", "/task_id", "/taskId"]
            .iter()
            .find_map(|place| json.pointer(place)?.as_str());
        let id = id.map_or_else(|| format!("line {}", number + 1), plain);
        let code = json["code"].as_i64().unwrap_or_default();
        Planned::raw(id, code, body.to_owned())
    });
    let planned: Vec<_> = planned.collect();
    match planned.is_empty() {
        true => Err(Stop::usage(format!("{} holds no body", path.display()))),
        false => Ok(planned),
    }
}

fn line(attempt: &Attempt) -> String {
    let line = format!("{attempt:<60}  {} ms", millis(attempt.took));
    match attempt.is_received() || !attempt.kind.is_genuine() {
        true => line,
        false => red(&line),
    }
}

pub(crate) fn told(report: &Report) -> Value {
    let attempt = |attempt: &&Attempt| {
        json!({
            "task_id": *attempt.task_id,
            "code": attempt.code,
            "kind": attempt.kind.as_str(),
            "at_ms": millis(attempt.at),
            "took_ms": millis(attempt.took),
            "answer": attempt.answer.to_string(),
            "status": match attempt.answer {
                Answer::Status(status) => Some(status.as_u16()),
                _ => None,
            },
        })
    };
    let totals = report.totals();
    json!({
        "attempts": report.attempts().iter().map(attempt).collect::<Vec<_>>(),
        "totals": {
            "events": totals.events,
            "acknowledged": totals.acknowledged,
            "given_up": totals.given_up,
            "requests": totals.requests,
            "received": totals.received,
            "refused": totals.refused,
            "unanswered": totals.unanswered,
            "deceived": totals.deceived,
        },
    })
}
