//! One receiver against the provider. What is sent, and when it is killed, is the same for each of them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tower_callback::{
    BoxError, Clock, MusicVideo,
    testing::provider::{Caller, Fault, Faults, Report},
};

use super::{Contender, PATH, SECRET, Tally, Work, work};

const SEED: u64 = 7;

/// Tasks that fail, and succeed ten seconds later.
const CHANGED: usize = 20;
/// For each of them, tasks with one end.
const OTHERS: usize = 10;
/// From one event to the next.
const PACE: Duration = Duration::from_secs(1);

/// While there are new events, and how long a receiver is away each time at least.
const KILLS: u64 = 5;
const DOWN: Duration = Duration::from_secs(15);

/// When the provider gives up the last event at the latest: after 1, 5 and 15 minutes more.
pub(super) const DURATION: Duration = Duration::from_secs(26 * 60);

/// Starts a receiver, calls and kills it, and counts what it did.
pub(super) async fn run(
    contender: Contender,
    speed: u32,
    directory: PathBuf,
) -> Result<Tally, BoxError> {
    let name = match contender {
        Contender::Express(_) => "express",
        Contender::Naive => "naive",
        Contender::Ours => "ours",
    };
    let work = Work::new(&directory.join(name).with_extension("journal"), speed);
    let address = address()?;
    let mut process = contender.start(address, &work).await?;

    let start = Instant::now();
    let provider = tokio::spawn(provider(address, speed)?.run());
    for kill in kills() {
        sleep_until(start + kill / speed).await;
        process.kill().await?;
        sleep(DOWN / speed).await;
        process = contender.start(address, &work).await?;
    }
    let report = provider.await?;
    let tally = settled(&report, &work).await?;
    process.kill().await?;
    Ok(tally)
}

/// On Linux, an address that nobody else uses: else a connection of anybody could take the port
/// while the receiver is down.
fn address() -> io::Result<SocketAddr> {
    let ip = if cfg!(target_os = "linux") {
        Ipv4Addr::new(
            127,
            fastrand::u8(1..255),
            fastrand::u8(..),
            fastrand::u8(1..255),
        )
    } else {
        Ipv4Addr::LOCALHOST
    };
    TcpListener::bind((ip, 0))?.local_addr()
}

/// When to kill, in the provider's time.
fn kills() -> impl Iterator<Item = Duration> {
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..KILLS).map(move |kill| Duration::from_millis(50_000 * kill + random.u64(25_000..50_000)))
}

/// Calls with the provider's own schedule: it waits 15 s, and tries again after 1, 5 and 15 minutes.
fn provider(address: SocketAddr, speed: u32) -> Result<Caller, BoxError> {
    let faults = Faults::none()
        .with(Fault::Duplicate, 0.3)
        .with(Fault::Concurrent, 0.2)
        .with(Fault::Late, 0.2)
        .with(Fault::WrongProof, 0.1)
        .with(Fault::Malformed, 0.1);
    let mut provider = Caller::to(format!("http://{address}{PATH}?token={SECRET}"))?
        .seed(SEED)
        .clock(Clock::scaled(speed))
        .pace(PACE)
        .faults(faults);
    for task in 0..CHANGED {
        let task = format!("changed-{task}");
        let url = format!("https://example.com/{task}.mp4");
        provider = provider
            .events(OTHERS)
            .event(MusicVideo::failed(&*task, 500, "try again later"))
            .event_after(Duration::from_secs(10), MusicVideo::succeeded(task, url));
    }
    Ok(provider)
}

/// Counts when nothing more comes: what was acknowledged may still wait for its turn.
async fn settled(report: &Report, work: &Work) -> Result<Tally, BoxError> {
    let events = || {
        let events = report.events().iter();
        events.map(|event| (&*event.task_id, event.code, event.acknowledged))
    };
    let end = Instant::now() + Duration::from_secs(60);
    let (mut length, mut since) = (0, Instant::now());
    loop {
        let journal = work::read(work.journal())?;
        if journal.len() != length {
            (length, since) = (journal.len(), Instant::now());
        }
        let tally = Tally::of(events(), &journal).with_answers(report);
        let patience = Duration::from_secs(if tally.is_complete() { 3 } else { 10 });
        if since.elapsed() > patience || Instant::now() > end {
            return Ok(tally);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
