//! A provider that calls over real sockets, the way the real one does.
//!
//! It waits 15 s for an answer, counts nothing but HTTP 200 as received, tries again 1, 5 and 15
//! minutes after a failure, and gives up then: all on a [`Clock`] that can run faster than real time.
//! What goes wrong on top of that is chosen for an event ([`Planned::with`]) or left to a seed
//! ([`Provider::faults`]).
//!
//! ```no_run
//! use tower_callback::{Clock, testing::provider::{Fault, Faults, Provider}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let report = Provider::to("http://127.0.0.1:8080/music-video-callback?token=…")?
//!     .clock(Clock::scaled(600))
//!     .seed(7)
//!     .events(100)
//!     .faults(Faults::none().with(Fault::Duplicate, 0.3).with(Fault::Cut, 0.1))
//!     .run()
//!     .await;
//! println!("{report}");
//! assert_eq!(report.totals().acknowledged, 100);
//! # Ok(())
//! # }
//! ```
//!
//! # What a seed decides
//!
//! Everything that is not an answer: ids, codes and bodies of the [events](Provider::events) that
//! are made up, which faults strike which events, and all their details. The same seed and settings
//! mean the same requests, with this version and with later ones. Whether and when a retry or a
//! duplicate comes follows from the answers, and so does the order of what is in the air at the
//! same time.

mod attempt;
mod drip;
mod faults;
mod malformed;
mod plan;
mod planned;
mod random;
mod report;
mod run;
mod schedule;
mod send;
mod simulated;
mod target;
mod wire;

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

pub use self::{
    attempt::{Answer, Attempt, Kind},
    faults::{Fault, Faults},
    planned::Planned,
    report::{EventReport, Report, Totals},
    schedule::Schedule,
    simulated::{
        Calls, SimulatedProvider, SimulatedProviderBuilder, SimulationReport, Submitted, TaskFault,
        TaskFaults, TaskPlan, TaskReport, TimeFormat, TrackReport, Truth, Video,
    },
};
use self::{
    plan::{Plan, made_up},
    random::SplitMix64,
    run::Run,
    send::Sender,
};
pub(super) use self::{target::Target, wire::exchange};
use crate::{Clock, error::BuildError};

type Observer = Box<dyn FnMut(&Attempt) + Send>;

/// A provider that is going to call. See the [module's documentation](self).
///
/// It starts no task: it calls while the future of [`run`](Self::run) is polled, and hangs up when
/// that is dropped. Each request has a connection of its own.
#[must_use = "a provider calls nobody until `run` is awaited"]
pub struct Provider {
    target: Target,
    headers: HeaderMap,
    seed: u64,
    clock: Clock,
    schedule: Schedule,
    faults: Faults,
    entries: Vec<Entry>,
    pace: Duration,
    concurrency: usize,
    observer: Option<Observer>,
}

enum Entry {
    MadeUp,
    Given(Planned),
}

impl Provider {
    /// A provider that was given this callback URL, with the token and all: `http://127.0.0.1:8080/…`.
    ///
    /// # Errors
    ///
    /// When it is no plain HTTP URL. The error does not repeat it.
    pub fn to(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self {
            target: Target::parse(url.as_ref())?,
            headers: HeaderMap::new(),
            seed: 0,
            clock: Clock::system(),
            schedule: Schedule::default(),
            faults: Faults::none(),
            entries: Vec::new(),
            pace: Duration::ZERO,
            concurrency: 64,
            observer: None,
        })
    }

    /// What all chance follows from: 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The clock of timeouts, retries and faults: real time by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Another [`Schedule`] than the provider's.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// What the seed lets go wrong: nothing by default.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// A header of every genuine request, such as a bearer token. A forged one has it changed.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// So many more events that the seed makes up: music videos with ids of their own, of all codes
    /// of the provider's family, about half of them successes.
    pub fn events(mut self, count: usize) -> Self {
        self.entries.extend((0..count).map(|_| Entry::MadeUp));
        self
    }

    /// One more event, chosen: a [`MusicVideo`](crate::MusicVideo), or a [`Planned`] one.
    pub fn event(mut self, event: impl Into<Planned>) -> Self {
        self.entries.push(Entry::Given(event.into()));
        self
    }

    /// One more event, which comes so long after the start.
    pub fn event_after(self, after: Duration, event: impl Into<Planned>) -> Self {
        self.event(event.into().after(after))
    }

    /// How long after the event before it each event comes: at once by default, as fast as the
    /// [concurrency](Self::concurrency) lets them.
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// How many requests are in the air at once: 64 by default, at least one. A request and its
    /// [concurrent](Fault::Concurrent) copies count as one.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    /// Sees every attempt as soon as it has ended, in the task that runs the provider.
    pub fn observe(mut self, observe: impl FnMut(&Attempt) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observe));
        self
    }

    /// Calls until every event was acknowledged or given up, and everything beside them was sent.
    pub async fn run(self) -> Report {
        let random = SplitMix64::new(self.seed);
        let plans = (0_u32..)
            .zip(self.entries)
            .map(|(index, entry)| {
                let random = random.fork(u64::from(index));
                let mut planned = match entry {
                    Entry::MadeUp => made_up(&random),
                    Entry::Given(planned) => planned,
                };
                planned.after += self.pace.saturating_mul(index);
                Plan::new(planned, &random, &self.faults, &self.schedule)
            })
            .collect();
        let timeout = self.schedule.timeout();
        let run = Run {
            sender: Sender::new(self.target, self.headers, self.clock.clone(), timeout),
            start: self.clock.now(),
            clock: self.clock,
            schedule: self.schedule,
            concurrency: self.concurrency,
            plans,
        };
        run.run(self.observer).await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("target", &self.target)
            .field("seed", &self.seed)
            .field("events", &self.entries.len())
            .finish_non_exhaustive()
    }
}
