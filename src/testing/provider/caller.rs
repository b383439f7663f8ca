//! The part of the provider that calls.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Attempt, Faults, Planned, Report, Schedule, Signer, Target,
    plan::{Plan, made_up},
    random::SplitMix64,
    run::Run,
    send::Sender,
};
use crate::{Clock, error::BuildError};

pub(super) type Observer = Box<dyn FnMut(&Attempt) + Send>;

/// A provider that is going to call one URL about events. See the [module's documentation](super).
///
/// It starts no task: it calls while the future of [`run`](Self::run) is polled, and hangs up when
/// that is dropped. Each request has a connection of its own.
#[must_use = "nobody is called until `run` is awaited"]
pub struct Caller {
    target: Target,
    headers: HeaderMap,
    signer: Option<Signer>,
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

impl Caller {
    /// A provider that was given this callback URL, with the token and all: `http://127.0.0.1:8080/…`.
    /// With the feature `cli` it may be `https://…` too, and the system says whose certificates are good.
    ///
    /// # Errors
    ///
    /// When it is no such URL. The error does not repeat it.
    pub fn to(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self {
            target: Target::parse(url.as_ref())?,
            headers: HeaderMap::new(),
            signer: None,
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

    /// Signs every genuine request, each at its own time. A forged one has the signature changed.
    pub fn sign(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
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
    /// [concurrent](super::Fault::Concurrent) copies count as one.
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
            sender: Sender::new(
                self.target,
                self.headers,
                self.signer,
                self.clock.clone(),
                timeout,
            ),
            start: self.clock.now(),
            clock: self.clock,
            schedule: self.schedule,
            concurrency: self.concurrency,
            plans,
        };
        run.run(self.observer).await
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("target", &self.target)
            .field("seed", &self.seed)
            .field("events", &self.entries.len())
            .finish_non_exhaustive()
    }
}
