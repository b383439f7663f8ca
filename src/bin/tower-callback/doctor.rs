//! `doctor`: what to look at when no callback comes.

mod network;
mod server;
mod video;

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    given::Given,
    output::{Output, bold, green, progress, red, yellow},
    proof::Proof,
    stop::{Result, Stop},
    text::duration,
};

/// Find out why no callback comes: the network, the server, a test callback, and a video
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The callback URL that the provider was given, or env:NAME or file:PATH where it is
    url: Given,
    #[command(flatten)]
    proof: Proof,
    /// How long the provider waits for an answer
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    deadline: Duration,
    /// On your own machine: plain HTTP and addresses that are not public are as they should be
    #[arg(long)]
    local: bool,
    /// A video URL, out of a callback that came or from the provider, or env:NAME or file:PATH where it is
    #[arg(long, value_name = "URL")]
    video: Option<Given>,
    /// The directory in which videos are kept
    #[arg(long, value_name = "DIR", default_value = "videos", requires = "video")]
    videos: PathBuf,
}

const AFTER: &str = "\
Run it where the provider would come from: outside your network, if you can. Each line says what was seen,
and what to do if that is wrong. Certificates are held good or not by the system; SSL_CERT_FILE adds one of
your own.

With a proof, a test callback is sent: the endpoint answers it as a new event, and keeps it from every
handler and store. Nothing that doctor sends is an event.

Ends with 0 if nothing is wrong, which is not to say that the provider can reach you: that cannot be seen
from here.
Exit codes: see `tower-callback --help`.

Examples:
  tower-callback doctor https://example.com/music-video-callback --token env:CALLBACK_SECRET
  tower-callback doctor http://127.0.0.1:8080/callback --local --token env:CALLBACK_SECRET
  tower-callback doctor env:CALLBACK_URL --video env:VIDEO_URL --videos /srv/videos";

/// How a thing is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    /// It works, and will not for long, or should not be so.
    Doubtful,
    Wrong,
    /// It cannot be seen from here, or was not asked for.
    Unseen,
}

/// One line: what was looked at, what was seen, and what to do.
struct Finding {
    name: &'static str,
    level: Level,
    seen: String,
    to_do: Option<String>,
}

impl Finding {
    fn good(name: &'static str, seen: impl Into<String>) -> Self {
        Self {
            name,
            level: Level::Good,
            seen: seen.into(),
            to_do: None,
        }
    }

    fn other(
        level: Level,
        name: &'static str,
        seen: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            name,
            level,
            seen: seen.into(),
            to_do: Some(to_do.into()),
        }
    }

    fn wrong(name: &'static str, seen: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::other(Level::Wrong, name, seen, to_do)
    }

    fn unseen(name: &'static str, seen: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::other(Level::Unseen, name, seen, to_do)
    }
}

/// Tells each finding as soon as it is there.
struct Findings<'a> {
    out: &'a mut Output,
    group: &'static str,
    told: Vec<Value>,
    wrong: usize,
}

impl Findings<'_> {
    fn begin(&mut self, group: &'static str) -> Result {
        self.group = group;
        match self.out.is_json() {
            true => Ok(()),
            false => self.out.line(bold(group)),
        }
    }

    fn add(&mut self, finding: Finding) -> Result {
        let Finding {
            name,
            level,
            seen,
            to_do,
        } = finding;
        self.wrong += usize::from(level == Level::Wrong);
        let word = match level {
            Level::Good => "ok",
            Level::Doubtful => "warning",
            Level::Wrong => "wrong",
            Level::Unseen => "unseen",
        };
        if self.out.is_json() {
            self.told.push(json!({
                "group": self.group, "check": name, "result": word, "seen": seen, "to_do": to_do,
            }));
            return Ok(());
        }
        let padded = format!("{word:<7}");
        let word = match level {
            Level::Good => green(&padded),
            Level::Doubtful | Level::Unseen => yellow(&padded),
            Level::Wrong => red(&padded),
        };
        self.out.line(format_args!("  {word} {name}: {seen}"))?;
        match to_do {
            Some(to_do) => self.out.line(format_args!("          {to_do}")),
            None => Ok(()),
        }
    }
}

pub(crate) async fn run(args: Args, out: &mut Output) -> Result {
    let url = args.url.read()?;
    let place = network::Place::of(&url, matches!(args.url, Given::Here(_)))?;
    // Read before anything is sent, so that a secret that is not there is told at once.
    let (proven, forged) = (args.proof.carried(&url)?, args.proof.forged(&url)?);
    let mut findings = Findings {
        out,
        group: "",
        told: Vec::new(),
        wrong: 0,
    };
    let bar = progress(None, "looking");
    bar.enable_steady_tick(Duration::from_millis(200));

    findings.begin("Network")?;
    let is_reached = network::check(&place, args.local, &mut findings).await?;

    if is_reached {
        findings.begin("Server")?;
        let is_ours = server::refuses(forged, args.deadline, &mut findings).await?;
        findings.begin("Content")?;
        let has_proof = args.proof.is_there() || url.contains('?');
        server::accepts(proven, has_proof, is_ours, args.deadline, &mut findings).await?;
    }

    findings.begin("Video")?;
    video::check(&args, &mut findings).await?;
    bar.finish_and_clear();

    let wrong = findings.wrong;
    if findings.out.is_json() {
        let told = json!({"checks": findings.told, "wrong": wrong});
        findings.out.json(&told)?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Stop::told()),
    }
}
