//! Health: whether callbacks that are received now will be stored and handled, and what waits in the store.
//!
//! ```
//! use tower_callback::{Callbacks, MemoryStore, MusicVideo, Token, health::Health};
//!
//! # async fn example() -> Result<(), tower_callback::BoxError> {
//! # let secret = "a-secret-of-32-characters-or-so";
//! let store = MemoryStore::new();
//! let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
//!     .store(store.clone())
//!     .handle(|delivery| async move { Ok(println!("{:?}", delivery.event)) })
//!     .build()?;
//! let health = Health::new(store).with_service(&callback);
//! let worker = worker.beside(health.clone().run());
//! let app: axum::Router = axum::Router::new()
//!     .route_service("/music-video-callback", callback)
//!     .route_service("/ready", health.service());
//! # let _ = (worker, app);
//! # Ok(()) }
//! ```
//!
//! A probe is answered with 200 or 503, and a few lines of JSON without any secret:
//!
//! ```json
//! {"status":"ready","problems":[],"endpoints":[{"name":"music-video","pending":3,"leased":1,"dead":0,"quarantined":0,"oldest_due_seconds":2}]}
//! ```
//!
//! # What makes it unready
//!
//! - The worker of a [service](Health::with_service) is not running yet, was dropped, or has ended.
//! - The store does not answer in [time](Health::with_timeout), or fails.
//! - More events wait, or the oldest is due for longer, than [you](Health::with_max_pending)
//!   [allow](Health::with_max_oldest). Neither has a default: who is unready gets no callbacks from the load
//!   balancer, and a callback that is not taken is lost sooner than one that waits in a store. Alert on
//!   the gauges instead.
//!
//! # What it costs the store
//!
//! However many probes come, the store is asked one question at a time: whether it is there, at most once a
//! second, and for its counts, at most every [15 seconds](Health::with_every) and for at most a twentieth
//! of the time. Every five minutes it is asked for the oldest event that was not handled, by lists
//! of at most 2000 dead and 2000 pending events of each endpoint: of more than that, it is the oldest of those. Answers in
//! between are those of the last look. Only what became of the worker is always of this moment.
//!
//! With the feature `metrics`, each look sets the gauges of the inbox. Probes make it look, and so does
//! [`Health::run`], beside a worker or in a task of your own: in a front, too, which sees then that
//! records are pending and no worker leases them.

mod look;
mod report;
mod service;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::look::{Ask, Counting, Look, Reaching};
pub use self::{
    report::{EndpointReport, Report},
    service::{HealthFuture, HealthService},
};
use crate::{
    count,
    front::CallbackService,
    store::{Inspect, Store},
};

/// The most often that the store is asked whether it is there.
const REACH_EVERY: Duration = Duration::from_secs(1);

/// Looks after endpoints and their store. See the [module](self).
///
/// Set it up before it is cloned: clones share what they have seen.
#[derive(Clone)]
#[must_use = "nothing is looked at until it is asked"]
pub struct Health {
    store: Arc<dyn Ask>,
    watched: Vec<Watched>,
    limits: Limits,
    timeout: Duration,
    every: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// An endpoint, and its service where that is in this process.
#[derive(Clone)]
struct Watched {
    name: Arc<str>,
    service: Option<CallbackService>,
}

#[derive(Clone, Copy, Default)]
struct Limits {
    pending: Option<u64>,
    oldest: Option<Duration>,
}

#[derive(Default)]
struct Seen {
    /// When the store was last asked, whether or not anybody waited for the answer.
    asked: Option<Instant>,
    look: Look,
}

impl Health {
    /// Looks after a store that can count.
    pub fn new(store: impl Inspect) -> Self {
        Self::of(Counting(store))
    }

    /// Looks after a store that cannot: whether it is there is all there is to know.
    pub fn of_store(store: impl Store) -> Self {
        Self::of(Reaching(store))
    }

    fn of(store: impl Ask) -> Self {
        count::describe();
        Self {
            store: Arc::new(store),
            watched: Vec::new(),
            limits: Limits::default(),
            timeout: Duration::from_secs(2),
            every: Duration::from_secs(15),
            seen: Arc::default(),
        }
    }

    /// Looks after the endpoint of a service, and after its worker where both were built together.
    pub fn with_service(mut self, service: &CallbackService) -> Self {
        self.watched.push(Watched {
            name: service.name(),
            service: Some(service.clone()),
        });
        self
    }

    /// Looks after an endpoint whose service is in another process.
    pub fn with_endpoint(mut self, name: impl Into<Arc<str>>) -> Self {
        self.watched.push(Watched {
            name: name.into(),
            service: None,
        });
        self
    }

    /// Is unready while more events of an endpoint wait than this. No limit by default.
    pub fn with_max_pending(mut self, records: u64) -> Self {
        self.limits.pending = Some(records);
        self
    }

    /// Is unready while the oldest pending event of an endpoint is due for longer than this. No limit by default.
    pub fn with_max_oldest(mut self, due: Duration) -> Self {
        self.limits.oldest = Some(due);
        self
    }

    /// How long the store may take to answer: 2 s by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often records are counted at most: every 15 s by default, as often as most people scrape.
    pub fn with_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Whether callbacks that are received now will be stored and handled. It is answered within the
    /// [timeout](Self::with_timeout) and a second, from memory most of the time.
    pub async fn check(&self) -> Report {
        let look = match timeout(self.timeout + REACH_EVERY, self.look()).await {
            Ok(look) => look,
            Err(_) => Look::unanswered(),
        };
        let mut report = Report::default();
        for watched in &self.watched {
            let mut problems = Vec::new();
            if let Some(service) = &watched.service
                && let Err(not_ready) = service.readiness().await
            {
                problems.push(not_ready.to_string());
            }
            let endpoint = look.endpoints.iter().find(|e| e.name == watched.name);
            if let Some(endpoint) = endpoint {
                problems.extend(self.limits.problem(endpoint));
                report.endpoints.push(endpoint.clone());
            }
            count::ready(&watched.name, problems.is_empty() && look.problem.is_none());
            report.problems.extend(problems);
        }
        report.problems.extend(look.problem.map(str::to_owned));
        report
    }

    /// Looks again and again, for as long as this is polled.
    pub async fn run(self) {
        loop {
            let _ = self.check().await;
            sleep(self.every.max(REACH_EVERY)).await;
        }
    }

    /// A service that answers probes, whatever the path: mount it where they ask.
    pub fn service(&self) -> HealthService {
        HealthService::new(self.clone())
    }

    /// One look for all who ask at the same time. Whoever hangs up in the middle of it has looked, too:
    /// a flood of those asks the store no more often than one that stays.
    async fn look(&self) -> Look {
        let mut seen = self.seen.lock().await;
        if let Some(asked) = seen.asked {
            let next = asked + REACH_EVERY;
            if seen.look.at == Some(asked) && Instant::now() < next {
                return seen.look.clone();
            }
            sleep_until(next).await;
        }
        let asked = Instant::now();
        seen.asked = Some(asked);
        let before = seen.look.clone();
        seen.look = self.ask(before).await;
        seen.look.at = Some(asked);
        seen.look.clone()
    }
}

impl Limits {
    fn problem(&self, endpoint: &EndpointReport) -> Option<String> {
        let EndpointReport { name, pending, .. } = endpoint;
        if self.pending.is_some_and(|most| *pending > most) {
            return Some(format!("{pending} events of the endpoint {name:?} wait"));
        }
        let due = endpoint
            .oldest_due
            .filter(|due| self.oldest.is_some_and(|most| *due > most))?;
        let seconds = due.as_secs();
        Some(format!(
            "the oldest event of the endpoint {name:?} has been due for {seconds} s"
        ))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.watched.iter().map(|watched| &watched.name);
        f.debug_struct("Health")
            .field("endpoints", &names.collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
