//! A receiver under a stream of callbacks is killed at random moments, and started again.

use std::{
    fmt::Write,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use libtest_mimic::Failed;
use tokio::time::sleep;

use crate::{
    calls::{Acks, call},
    receiver::{Mode, Phase, Place, counts, open},
    witness::Witness,
};

/// Providers that call at the same time.
const LANES: usize = 4;

pub(crate) fn run(mode: Mode) -> Result<(), Failed> {
    let crashes = number("CRASHES").unwrap_or(25).max(20);
    let seed = number("CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(kill_and_look(mode, crashes, seed))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

async fn kill_and_look(mode: Mode, crashes: u64, seed: u64) -> Result<(), Failed> {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut setup = place.setup(mode);
    setup.handler_ms = 50;
    setup.failing = 10;
    setup.lease_ttl_ms = 1_000;

    let acks = Acks::default();
    let stop = Arc::new(AtomicBool::new(false));
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            call(
                place.url(),
                lane,
                random.u64(..),
                acks.clone(),
                stop.clone(),
            )
        })
        .map(tokio::spawn)
        .collect();

    let mut witness = Witness::new(mode);
    let mut tally = Tally::default();
    for _ in 0..crashes {
        let receiver = place.start(&setup);
        // One of five may be killed while it starts.
        if random.u8(0..5) > 0 {
            receiver.serving();
        }
        sleep(Duration::from_millis(random.u64(0..400))).await;
        tally.note(receiver.kill());
        witness.look(&place, &acks).await;
        if !witness.wrongs.is_empty() {
            break;
        }
    }
    stop.store(true, Ordering::Release);
    let last = place.start(&setup);
    let mut requests = 0;
    let mut given_up = 0;
    for lane in lanes {
        for round in lane.await.unwrap() {
            requests += round.requests;
            given_up += round.given_up;
            if round.deceived > 0 {
                let wrong = format!("{} forged or malformed requests got 200", round.deceived);
                witness.wrongs.push(wrong);
            }
        }
    }
    let drained = drain(&place).await;
    last.kill();
    let effects = witness.close(&place, &acks).await;

    let mut report = format!("\nseed {seed}\n{tally}");
    let mut line = |name: &str, count: usize| {
        let _ = writeln!(report, "{name:<26}{count:>8}");
    };
    line("requests", requests);
    line("events given up by caller", given_up);
    line("tasks acknowledged", acks.all().len());
    line("handler calls", witness.begins);
    if mode == Mode::ExactlyOnce {
        line("effects applied", effects.applied);
        line("effects applied twice", effects.twice);
        line("effects lost", effects.lost);
    }
    line("wrong", witness.wrongs.len());
    println!("{report}");

    let mut wrongs = witness.wrongs;
    wrongs.truncate(20);
    if effects.twice + effects.lost > 0 {
        wrongs.push("effects were applied twice or lost".to_owned());
    }
    if acks.all().is_empty() {
        wrongs.push("nothing was acknowledged".to_owned());
    }
    if !drained {
        wrongs.push("some events were never settled".to_owned());
    }
    if tally.within * 2 < tally.kills {
        wrongs.push("less than half of the kills fell into an insert or a handler".to_owned());
    }
    match wrongs.is_empty() {
        true => Ok(()),
        false => Err(format!("{report}\n{}", wrongs.join("\n")).into()),
    }
}

/// Waits until nothing is pending, while the last receiver works.
async fn drain(place: &Place) -> bool {
    let store = open(&place.database()).await;
    let start = Instant::now();
    loop {
        let counts = counts(&store).await;
        if counts.pending + counts.leased == 0 {
            return true;
        }
        if start.elapsed() > Duration::from_secs(60) {
            eprintln!("still to be handled: {counts:?}");
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Where the kills fell.
#[derive(Default)]
struct Tally {
    kills: usize,
    inserts: usize,
    handlers: usize,
    settles: usize,
    /// In an insert or a handler.
    within: usize,
    before: usize,
}

impl Tally {
    fn note(&mut self, phase: Phase) {
        self.kills += 1;
        self.inserts += usize::from(phase.inserts > 0);
        self.handlers += usize::from(phase.handlers > 0);
        self.settles += usize::from(phase.settles > 0);
        self.within += usize::from(phase.inserts + phase.handlers > 0);
        self.before += usize::from(phase.pid == 0);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, count) in [
            ("kills", self.kills),
            ("  in an insert", self.inserts),
            ("  in a handler", self.handlers),
            ("  in either", self.within),
            ("  in a settlement", self.settles),
            ("  before it served", self.before),
        ] {
            writeln!(f, "{name:<26}{count:>8}")?;
        }
        Ok(())
    }
}
