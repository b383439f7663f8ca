//! Many callbacks, and a receiver that is killed while it works. Then the effects are counted.

use std::{
    env, io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use sqlx::{Row, SqlitePool, query};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Clock, MusicVideo,
    testing::provider::{Caller, Fault, Faults, Schedule},
};

use super::{ORDERS, PRICE, open, serve, task, url};

const KILLS: usize = 10;

/// What the provider says of an order.
#[derive(Clone, Copy, PartialEq)]
enum Story {
    Success,
    FailureThenSuccess,
    FailureOnly,
}

fn story(order: usize) -> Story {
    match order % 10 {
        0 | 4 | 8 => Story::FailureThenSuccess,
        9 => Story::FailureOnly,
        _ => Story::Success,
    }
}

/// Calls for every order, some of them several times, kills the receiver while it works, and counts.
pub(super) async fn run() -> Result<ExitCode, BoxError> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("orders.db");
    let database = open(&path, ORDERS).await?;
    // It belongs to this process, so that the port stays the same, and nobody else's, while
    // receivers come and go.
    let socket = TcpListener::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let (provider, events) = provider(socket.local_addr()?)?;
    let provider = tokio::spawn(provider.run());

    for _ in 0..KILLS {
        let mut receiver = start(&path, &socket)?;
        sleep(Duration::from_millis(fastrand::u64(100..600))).await;
        receiver.kill().await?;
    }
    let _last = start(&path, &socket)?;
    let report = provider.await?.totals();
    let handled = timeout(Duration::from_secs(30), all_handled(&database)).await;

    let counts = Counts::of(&database).await?;
    let failing = (0..ORDERS).filter(|order| story(*order) == Story::FailureOnly);
    let failing = i64::try_from(failing.count())?;
    let orders = i64::try_from(ORDERS)?;
    for (name, count) in [
        ("receiver killed", i64::try_from(KILLS)?),
        ("requests", i64::try_from(report.requests)?),
        ("  answered with 200", i64::try_from(report.received)?),
        ("orders", orders),
        ("  failed for good", failing),
        ("effects applied", counts.applied),
        ("  applied twice", counts.twice),
        ("  lost", counts.lost),
        ("  for a failure", counts.undue),
        ("credits taken", counts.taken),
    ] {
        println!("{name:<22}{count:>6}");
    }
    let due = orders - failing;
    let right = handled.is_ok()
        && report.acknowledged == events
        && (counts.applied, counts.twice, counts.lost, counts.undue) == (due, 0, 0, 0)
        && counts.taken == due * PRICE;
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Receives on the socket that came as the standard input, until it is killed.
pub(super) async fn receive(database: &Path) -> Result<ExitCode, BoxError> {
    let database = open(database, 0).await?;
    let socket = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    serve(database, tokio::net::TcpListener::from_std(socket)?).await?;
    Ok(ExitCode::SUCCESS)
}

/// A receiver in a process of its own.
fn start(database: &Path, socket: &TcpListener) -> Result<Child, BoxError> {
    let receiver = Command::new(env::current_exe()?)
        .arg(database)
        .stdin(OwnedFd::from(socket.try_clone()?))
        .kill_on_drop(true)
        .spawn()?;
    Ok(receiver)
}

/// Calls as the real provider does, with more retries and sixty times as fast: it finds nobody there
/// more often than real ones do. With the number of events that it calls about.
fn provider(address: SocketAddr) -> Result<(Caller, usize), BoxError> {
    let mut events = Vec::new();
    for order in 0..ORDERS {
        events.push(match story(order) {
            Story::Success => success(order),
            _ => MusicVideo::failed(task(order), 500, "the generation failed"),
        });
    }
    // By then, most of the failures were handled.
    let second = (0..ORDERS).filter(|order| story(*order) == Story::FailureThenSuccess);
    events.extend(second.map(success));

    let mut provider = Caller::to(url(address))?
        .clock(Clock::scaled(60))
        .schedule(Schedule::new(
            Duration::from_secs(60),
            [Duration::from_secs(6); 300],
        ))
        .pace(Duration::from_secs(1))
        .faults(
            Faults::none()
                .with(Fault::Duplicate, 0.5)
                .with(Fault::Concurrent, 0.3),
        );
    let count = events.len();
    for event in events {
        provider = provider.event(event);
    }
    Ok((provider, count))
}

fn success(order: usize) -> MusicVideo {
    let task = task(order);
    let video = format!("https://example.com/{task}.mp4");
    MusicVideo::succeeded(task, video)
}

/// Waits until every order has its result.
async fn all_handled(database: &SqlitePool) -> Result<(), BoxError> {
    loop {
        let mut open = 0;
        let rows = query("SELECT finished, failure FROM orders ORDER BY task").fetch_all(database);
        for (order, row) in rows.await?.iter().enumerate() {
            let has_result = match story(order) {
                Story::FailureOnly => row.get::<Option<i64>, _>(1).is_some(),
                _ => row.get::<i64, _>(0) > 0,
            };
            open += usize::from(!has_result);
        }
        if open == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[derive(Default)]
struct Counts {
    applied: i64,
    twice: i64,
    lost: i64,
    /// For orders that only failed.
    undue: i64,
    taken: i64,
}

impl Counts {
    async fn of(database: &SqlitePool) -> Result<Self, BoxError> {
        let taken = query("SELECT -credits FROM account").fetch_one(database);
        let mut counts = Self {
            taken: taken.await?.get(0),
            ..Self::default()
        };
        let rows = query("SELECT finished FROM orders ORDER BY task").fetch_all(database);
        for (order, row) in rows.await?.iter().enumerate() {
            let finished: i64 = row.get(0);
            counts.applied += finished;
            counts.twice += i64::from(finished > 1);
            if story(order) == Story::FailureOnly {
                counts.undue += finished;
            } else {
                counts.lost += i64::from(finished == 0);
            }
        }
        Ok(counts)
    }
}
