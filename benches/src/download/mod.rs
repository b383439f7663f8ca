//! A large video, by the downloader and by curl, to the same disk.

mod video;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use tokio::runtime::Builder;
use tower_callback::{BoxError, download::Downloader};

use crate::{docs::Docs, memory::of_process, statistics::Spread, table::Table};

const MIB: u64 = 1024 * 1024;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// MiB to fetch
    #[arg(long, default_value_t = 10 * 1024)]
    mib: u64,
    /// How often
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// 64 MiB, once
    #[arg(long)]
    quick: bool,
}

/// A downloader's process of its own.
#[derive(clap::Args)]
pub(crate) struct FetchOptions {
    url: String,
    directory: PathBuf,
}

pub(crate) fn run(options: &Options, docs: &Docs) -> Result<(), BoxError> {
    let (mib, rounds) = if options.quick {
        (64, 1)
    } else {
        (options.mib, options.rounds)
    };
    let length = mib * MIB;
    let url = video::serve(length)?;
    let (mut ours, mut grown) = (vec![], vec![]);
    let (mut curls, mut ratios) = (vec![], vec![]);
    let (mut summed, mut summed_ratios) = (vec![], vec![]);
    for round in 1..=rounds {
        let directory = tempfile::tempdir()?;
        let start = Instant::now();
        grown.push(fetch(&url, directory.path(), length)?);
        let our_rate = rate(mib, start);
        drop(directory);
        let directory = tempfile::tempdir()?;
        let start = Instant::now();
        let file = directory.path().join("video");
        curl(&url, &file, length)?;
        let curl_rate = rate(mib, start);
        sha256sum(&file)?;
        let summed_rate = rate(mib, start);
        eprintln!(
            "round {round}: ours {our_rate:.0} MiB/s, curl {curl_rate:.0} MiB/s, and with a sum \
             {summed_rate:.0} MiB/s"
        );
        ours.push(our_rate);
        curls.push(curl_rate);
        ratios.push(our_rate / curl_rate);
        summed.push(summed_rate);
        summed_ratios.push(our_rate / summed_rate);
    }
    let say = |values: Vec<f64>| Spread::of(values).map_or_else(String::new, |s| s.to_string());
    let mut table = Table::new(["what", "median (least–most)"]);
    table.row([
        format!("ours, MiB/s, {mib} MiB and their SHA-256 to a directory"),
        say(ours),
    ]);
    table.row(["curl and a sync, MiB/s".to_owned(), say(curls)]);
    table.row([
        "curl, a sync and `sha256sum`, MiB/s".to_owned(),
        say(summed),
    ]);
    table.row(["P12: ours / curl".to_owned(), say(ratios)]);
    table.row(["ours / curl and `sha256sum`".to_owned(), say(summed_ratios)]);
    table.row(["P12: memory over idle, MiB".to_owned(), say(grown)]);
    docs.section("download", &table.to_string())
}

fn rate(mib: u64, start: Instant) -> f64 {
    mib as f64 / start.elapsed().as_secs_f64()
}

/// Fetches in a process of its own; tells by how many MiB that grew.
fn fetch(url: &str, directory: &Path, length: u64) -> Result<f64, BoxError> {
    let run = Command::new(env::current_exe()?)
        .args(["fetch", url])
        .arg(directory)
        .stderr(Stdio::inherit())
        .output()?;
    let told = String::from_utf8(run.stdout)?;
    match told.trim().split_once(' ') {
        Some((fetched, grown)) if run.status.success() && fetched == length.to_string() => {
            Ok(grown.parse::<f64>()? / 1024.0)
        }
        _ => Err(format!("the downloader failed: {told:?}").into()),
    }
}

/// As safe on disk as ours is when it says so.
fn curl(url: &str, file: &Path, length: u64) -> Result<(), BoxError> {
    let run = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--output"])
        .arg(file)
        .arg(url)
        .status();
    let run = run.map_err(|error| format!("curl does not start: {error}"))?;
    fs::File::open(file)?.sync_all()?;
    if run.success() && fs::metadata(file)?.len() == length {
        return Ok(());
    }
    Err("curl failed".into())
}

/// What ours does beside, and curl does not.
fn sha256sum(file: &Path) -> Result<(), BoxError> {
    let run = Command::new("sha256sum")
        .arg(file)
        .stdout(Stdio::null())
        .status();
    match run.map_err(|error| format!("sha256sum does not start: {error}"))? {
        status if status.success() => Ok(()),
        _ => Err("sha256sum failed".into()),
    }
}

/// Prints the length, and the KiB that the process grew by.
pub(crate) fn fetch_one(options: &FetchOptions) -> Result<(), BoxError> {
    let downloader = Downloader::in_directory(&options.directory)
        .with_max_bytes(u64::MAX)
        .dangerous()
        .allow_http()
        .dangerous()
        .allow_networks(["127.0.0.1"])
        .build()?;
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let idle = of_process(std::process::id(), "VmRSS:");
            let video = downloader.fetch("task", &options.url).await?;
            let most = of_process(std::process::id(), "VmHWM:");
            println!("{} {}", video.length, most.saturating_sub(idle));
            Ok(())
        })
}
