//! Everything goes wrong at once, again and again.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    calls::Calls,
    effects::Effects,
    engine::{Kind, Server},
    fleet::{FRONTS, Fleet, Style, WORKERS},
    judge, number, report,
    servers::proxy::Way,
};

/// Short enough for what a killed worker held to come again soon.
const LEASE_TTL: Duration = Duration::from_secs(3);
const CALLBACKS: usize = 3_000;
const LANES: usize = 32;

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials("nothing_is_lost_or_doubled_through_chaos", run)
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KillFront,
    KillWorker,
    KillBoth,
    /// The engine ends at once, and is started again.
    Restart,
    /// All connections of one process are cut.
    Cut,
    /// They are cut in the middle of the next answer, so that nobody knows what was done.
    CutInAnswer,
    /// Nothing of what one process sends or gets moves for a while.
    Stall,
    /// The same with a worker, until all its leases have expired.
    StallPastLease,
    /// One process is slow to reach the engine.
    Delay,
    /// One process does not reach the engine.
    Refuse,
}

/// Each fault as often as it comes in one round, in whatever order.
const ROUND: [Fault; 17] = [
    Fault::KillFront,
    Fault::KillFront,
    Fault::KillWorker,
    Fault::KillWorker,
    Fault::KillBoth,
    Fault::Restart,
    Fault::Restart,
    Fault::Cut,
    Fault::Cut,
    Fault::CutInAnswer,
    Fault::CutInAnswer,
    Fault::CutInAnswer,
    Fault::Stall,
    Fault::Stall,
    Fault::StallPastLease,
    Fault::Delay,
    Fault::Refuse,
];

async fn run(kind: Kind) -> Result<(), String> {
    let callbacks = number("EVENTS").map_or(CALLBACKS, |events| events.try_into().unwrap());
    let rounds = if callbacks > CALLBACKS { 10 } else { 1 };
    let seed = number("SCALE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let start = Instant::now();
    let server = Server::start(kind).await;
    let style = Style {
        lease_ttl: LEASE_TTL,
        handler: Duration::from_millis(20),
        failing: 5,
        ack_deadline: Duration::from_secs(1),
        spooled: false,
    };
    let fleet = Fleet::start(&server, &style).await;
    let direct = server.open().await;
    let calls = Calls::begin(&fleet.ways, LANES, Duration::ZERO);

    let mut chaos = Chaos {
        server: Arc::new(server),
        fleet,
        random: fastrand::Rng::with_seed(seed),
        healing: JoinSet::new(),
        tally: Tally::default(),
    };
    // No fault comes before its share of the callbacks, and no callback much before its fault.
    let share = callbacks / (rounds * ROUND.len());
    let mut due = 0;
    for _ in 0..rounds {
        let mut round = ROUND;
        chaos.random.shuffle(&mut round);
        for fault in round {
            calls.allow((due + 2 * share).min(callbacks));
            calls.begun(due).await;
            chaos.strike(fault).await;
            due += share;
        }
    }
    let seen = calls.end(callbacks);
    let seen = tokio::join!(seen, chaos.heal()).0;
    let loaded = start.elapsed();
    let drained = direct.drained(seen.acknowledged.len()).await;
    chaos.fleet.stop().await;
    let effects = Effects::of(&direct, &chaos.fleet.journal(), &seen.acknowledged).await;

    let tally = &chaos.tally;
    let mut lines = vec![
        ("seconds until all was acknowledged", loaded.as_secs()),
        ("seconds until all was handled", start.elapsed().as_secs()),
        ("fronts killed", tally.fronts),
        ("workers killed", tally.workers),
        ("engine crashed and restarted", tally.restarts),
        ("connections stalled, delayed, refused", tally.slow),
        ("connections cut", tally.cuts),
        ("callbacks", seen.callbacks as u64),
        ("  of these repeats", seen.repeats as u64),
        ("tasks acknowledged", seen.acknowledged.len() as u64),
        ("attempts answered with 503", seen.status(503)),
        ("  refused connections", seen.refused),
        ("  broken connections", seen.broken),
        ("handler calls", effects.calls),
        ("acknowledged events lost", effects.lost),
    ];
    lines.extend(match kind {
        Kind::Postgres => vec![
            ("effects applied", effects.applied),
            ("effects applied twice", effects.applied_twice),
            ("failures after a success", effects.late_failures),
        ],
        // There is no transaction to complete anything in: handling is at least once.
        Kind::Redis => vec![("events handled more than once", effects.handled_twice)],
    });
    lines.extend([
        ("events settled as done twice", effects.settled_twice),
        ("late settlements refused", effects.conflicts),
        ("leases lost while handled", effects.leases_lost),
    ]);
    let mut report = report(&format!("chaos on {}, seed {seed}", kind.name()), &lines);
    let _ = writeln!(report, "  answers {:?}", seen.statuses);
    println!("{report}");

    let mut wrongs = effects.wrongs();
    wrongs.extend(drained.err());
    if seen.other_than(&[200, 503]) > 0 {
        wrongs.push("there were answers other than 200 and 503".to_owned());
    }
    if seen.callbacks != callbacks {
        wrongs.push(format!("{callbacks} callbacks were to be answered"));
    }
    let repeats = 100 * seen.repeats / seen.callbacks;
    if !(25..=35).contains(&repeats) {
        wrongs.push(format!("{repeats} of a hundred callbacks are repeats"));
    }
    judge(&report, &wrongs)
}

#[derive(Default)]
struct Tally {
    fronts: u64,
    workers: u64,
    restarts: u64,
    slow: u64,
    cuts: u64,
}

struct Chaos {
    server: Arc<Server>,
    fleet: Fleet,
    random: fastrand::Rng,
    /// What ends a fault that lasts.
    healing: JoinSet<()>,
    tally: Tally,
}

impl Chaos {
    async fn strike(&mut self, fault: Fault) {
        let front = self.random.usize(0..FRONTS);
        let worker = FRONTS + self.random.usize(0..WORKERS);
        let any = self.random.usize(0..FRONTS + WORKERS);
        let short = Duration::from_millis(self.random.u64(100..1500));
        match fault {
            Fault::KillFront => self.kill(front).await,
            Fault::KillWorker => self.kill(worker).await,
            Fault::KillBoth => {
                self.kill(front).await;
                self.kill(worker).await;
            }
            Fault::Restart => {
                let server = Arc::clone(&self.server);
                let restarted = tokio::task::spawn_blocking(move || {
                    server.crash();
                    server.run();
                });
                restarted.await.unwrap();
                self.tally.restarts += 1;
            }
            Fault::Cut => {
                self.fleet.members[any].proxy.cut();
                self.tally.cuts += 1;
            }
            Fault::CutInAnswer => {
                let bytes = self.random.usize(0..200);
                self.fleet.members[any].proxy.cut_after(Way::Answer, bytes);
                self.tally.cuts += 1;
            }
            Fault::Stall => {
                self.fleet.members[any].proxy.stall();
                self.pass_after(any, short);
            }
            Fault::StallPastLease => {
                self.fleet.members[worker].proxy.stall();
                self.pass_after(worker, LEASE_TTL + short);
            }
            Fault::Delay => {
                let by = Duration::from_millis(self.random.u64(5..50));
                self.fleet.members[any].proxy.delay(by);
                self.pass_after(any, 2 * short);
            }
            Fault::Refuse => {
                self.fleet.members[any].proxy.refuse();
                self.pass_after(any, short);
            }
        }
        sleep(Duration::from_millis(self.random.u64(0..200))).await;
    }

    async fn kill(&mut self, member: usize) {
        let count = match member {
            ..FRONTS => &mut self.tally.fronts,
            _ => &mut self.tally.workers,
        };
        *count += 1;
        let member = &mut self.fleet.members[member];
        member.kill().await;
        member.start();
    }

    fn pass_after(&mut self, member: usize, time: Duration) {
        let proxy = Arc::clone(&self.fleet.members[member].proxy);
        self.healing.spawn(async move {
            sleep(time).await;
            proxy.pass();
        });
        self.tally.slow += 1;
    }

    /// Lets the last fault end, and everybody serve.
    async fn heal(&mut self) {
        while let Some(healed) = self.healing.join_next().await {
            healed.unwrap();
        }
        self.fleet.heal().await;
    }
}
