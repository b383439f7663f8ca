//! One store: the load, the faults, the samples, and what they say.

use std::{
    env, fs,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tower_callback::BoxError;

use super::{
    drift::{Allowance, Drift},
    engine::{Engine, Kind},
    load::Load,
    service,
};

/// From one fault to the next.
const CALM: Duration = Duration::from_secs(6);
/// More samples than this say nothing more, and are many pairs.
const SAMPLES: u32 = 600;

const FEWEST: usize = 40;

const MIB: f64 = 1024.0 * 1024.0;

/// What is sampled, in which unit, and what of its growth is nothing.
///
/// Latency is the machine's as much as ours: only what doubles is told.
const ROWS: [(&str, f64, Allowance); 7] = [
    ("memory, MiB", MIB, allow(8.0, 0.15)),
    ("file descriptors", 1.0, allow(8.0, 0.1)),
    ("threads", 1.0, allow(8.0, 0.1)),
    ("tasks", 1.0, allow(40.0, 0.2)),
    ("store, MiB", MIB, allow(8.0, 0.3)),
    ("median answer, ms", 1.0, allow(20.0, 1.0)),
    ("slow answer (95 %), ms", 1.0, allow(100.0, 1.0)),
];

const fn allow(absolute: f64, relative: f64) -> Allowance {
    Allowance { absolute, relative }
}

/// Soaks a service on a store for so long, and tells whether it is sound.
pub(super) async fn soak(kind: Kind, time: Duration) -> Result<bool, BoxError> {
    println!("\n{} for {} s", kind.name(), time.as_secs());
    let mut engine = Engine::start(kind).await?;
    let mut service = Service::start(&engine).await?;
    let (load, lanes) = Load::begin(service.address);
    service.tell(&load);
    let mut rows: [Vec<f64>; ROWS.len()] = Default::default();
    let start = Instant::now();
    let mut ticks = interval((time / SAMPLES).max(Duration::from_millis(500)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut faults, mut calm) = (0, Instant::now());
    // However slow the machine is, there is something to look at.
    while start.elapsed() < time || rows[0].len() < FEWEST && start.elapsed() < 4 * time {
        ticks.tick().await;
        if calm.elapsed() > CALM {
            let all = engine.faults();
            engine.strike(all[faults % all.len()]).await?;
            faults += 1;
            calm = Instant::now();
            // What was answered while it was away says nothing of latency.
            load.ledger.latency();
            continue;
        }
        if let Some(sample) = sample(&service, &engine, &load).await {
            for (row, value) in rows.iter_mut().zip(sample) {
                row.push(value);
            }
        }
    }

    // Under load, and with work before it.
    service.kill().await?;
    let mut service = Service::start(&engine).await?;
    load.service.send_replace(service.address);
    service.tell(&load);
    let lost = finish(&load, lanes).await;
    service.kill().await?;

    let per_second = 1.0 / start.elapsed().as_secs_f64();
    load.ledger.print(per_second);
    println!("  faults of the store {faults:>24}\n  events lost {lost:>32}");
    let mut sound = lost == 0;
    for wrong in load.ledger.wrongs() {
        println!("  WRONG: {wrong}");
        sound = false;
    }
    sound &= judge(&rows);
    println!("  {}", if sound { "sound" } else { "NOT SOUND" });
    Ok(sound)
}

/// Lets everything be acknowledged and handled, and tells how many events are not.
async fn finish(load: &Load, mut lanes: JoinSet<()>) -> usize {
    sleep(Duration::from_secs(1)).await;
    load.stop.store(true, Ordering::Relaxed);
    let drained = async {
        while lanes.join_next().await.is_some() {}
        while load.ledger.waiting() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = timeout(Duration::from_secs(60), drained).await;
    load.ledger.waiting()
}

/// Nothing, if something cannot be asked at this moment.
async fn sample(service: &Service, engine: &Engine, load: &Load) -> Option<[f64; ROWS.len()]> {
    let process = format!("/proc/{}", service.pid);
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let descriptors = fs::read_dir(format!("{process}/fd")).ok()?.count();
    let (median, slow) = load.ledger.latency()?;
    Some([
        number("RssAnon:")? * 1024.0,
        descriptors as f64,
        number("Threads:")?,
        service.tasks().await.ok()?,
        engine.size().await.ok()? as f64,
        median,
        slow,
    ])
}

/// A table of what was sampled, and whether nothing of it has grown.
fn judge(rows: &[Vec<f64>; ROWS.len()]) -> bool {
    let mut steady = true;
    println!(
        "  {:<24}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "after the warm-up", "first", "median", "last", "highest", "growth"
    );
    for ((name, unit, allowed), row) in ROWS.into_iter().zip(rows) {
        let row: Vec<f64> = row.iter().map(|value| value / unit).collect();
        let Some(drift) = Drift::of(&row, allowed) else {
            println!("  {name:<24}TOO FEW SAMPLES");
            steady = false;
            continue;
        };
        println!(
            "  {name:<24}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{:>+9.1}{}",
            drift.first,
            drift.median,
            drift.last,
            drift.highest,
            drift.growth,
            if drift.is_upward { "  DRIFTS" } else { "" }
        );
        steady &= !drift.is_upward;
    }
    steady
}

/// The service that is soaked. It is killed when this is dropped.
struct Service {
    child: Child,
    pid: u32,
    address: SocketAddr,
    /// A service whose parent is gone ends.
    _stdin: Option<ChildStdin>,
    says: Option<BufReader<tokio::process::ChildStdout>>,
    hears: JoinSet<()>,
}

impl Service {
    async fn start(engine: &Engine) -> Result<Self, BoxError> {
        let mut child = Command::new(env::current_exe()?)
            .env(service::PLACE, engine.place())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of panics of handlers, which are part of it.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut says = BufReader::new(child.stdout.take().ok_or("it says nothing")?);
        let mut line = String::new();
        timeout(Duration::from_secs(60), says.read_line(&mut line)).await??;
        Ok(Self {
            pid: child.id().ok_or("it has ended")?,
            address: line.trim().parse()?,
            _stdin: child.stdin.take(),
            says: Some(says),
            hears: JoinSet::new(),
            child,
        })
    }

    /// Tells the ledger of everything that is handled.
    fn tell(&mut self, load: &Arc<Load>) {
        let load = Arc::clone(load);
        let Some(says) = self.says.take() else { return };
        self.hears.spawn(async move {
            let mut lines = says.lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(event) = line.parse() {
                    load.ledger.handled(event);
                }
            }
        });
    }

    async fn tasks(&self) -> Result<f64, BoxError> {
        let asked = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let request = "GET /tasks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            let number = answer.rsplit("\r\n").next().unwrap_or_default();
            Ok::<f64, BoxError>(number.parse()?)
        };
        timeout(Duration::from_secs(5), asked).await?
    }

    /// Kills it, and hears what it had said.
    async fn kill(&mut self) -> Result<(), BoxError> {
        self.child.kill().await?;
        while self.hears.join_next().await.is_some() {}
        Ok(())
    }
}
