//! Before it starts.

use std::{collections::VecDeque, fmt, io, ops::RangeInclusive, time::Duration};

use super::{SimulatedProvider, Submitted, TaskFaults, TaskPlan, TimeFormat, fate::Chances};
use crate::{
    Clock,
    testing::provider::{Faults, Schedule},
};

pub(super) type Planner = Box<dyn FnMut(Submitted<'_>) -> Option<TaskPlan> + Send>;

/// What holds for all tasks, from the start to the end.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) schedule: Schedule,
    pub(super) faults: Faults,
    pub(super) chances: Chances,
    pub(super) accepts_repeats: bool,
    /// With which `details` answers for an unknown task.
    pub(super) unknown_code: i64,
}

/// A [`SimulatedProvider`] that is going to start: made by [`SimulatedProvider::builder`].
#[must_use = "a provider serves nobody until it is started"]
pub struct SimulatedProviderBuilder {
    pub(super) settings: Settings,
    pub(super) tasks: VecDeque<TaskPlan>,
    pub(super) planner: Option<Planner>,
    pub(super) rate_limit: Option<(usize, Duration)>,
    pub(super) api_key: Option<String>,
    pub(super) port: u16,
}

impl SimulatedProviderBuilder {
    pub(super) fn new() -> Self {
        let chances = Chances {
            faults: TaskFaults::none(),
            rendering: Duration::from_secs(20)..=Duration::from_secs(90),
            video_bytes: 64 * 1024..=256 * 1024,
            times: TimeFormat::Millis,
        };
        let settings = Settings {
            seed: 0,
            clock: Clock::system(),
            schedule: Schedule::default(),
            faults: Faults::none(),
            chances,
            accepts_repeats: false,
            unknown_code: 200,
        };
        Self {
            settings,
            tasks: VecDeque::new(),
            planner: None,
            rate_limit: Some((20, Duration::from_secs(10))),
            api_key: None,
            port: 0,
        }
    }

    /// What all chance follows from: 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// The clock of renders, callbacks, limits and faults: real time by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// How callbacks are timed and repeated: as the provider documents it by default.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = schedule;
        self
    }

    /// What the seed lets go wrong with the requests that call back: nothing by default.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.settings.faults = faults;
        self
    }

    /// What the seed lets go wrong with tasks: nothing by default, so that each succeeds.
    pub fn task_faults(mut self, faults: TaskFaults) -> Self {
        self.settings.chances.faults = faults;
        self
    }

    /// The plan of the next new submission that has none: the first plan given is for the first one,
    /// and so on.
    pub fn task(mut self, plan: TaskPlan) -> Self {
        self.tasks.push_back(plan);
        self
    }

    /// Plans each new submission by what it asks for. Those for which it has no plan take one of
    /// [`task`](Self::task), or are left to the seed.
    ///
    /// Unlike `task`, it plans the same whatever the order is in which concurrent submissions come.
    pub fn plan_with(
        mut self,
        planner: impl FnMut(Submitted<'_>) -> Option<TaskPlan> + Send + 'static,
    ) -> Self {
        self.planner = Some(Box::new(planner));
        self
    }

    /// How long a task takes: 20 to 90 s by default.
    pub fn rendering(mut self, takes: RangeInclusive<Duration>) -> Self {
        self.settings.chances.rendering = takes;
        self
    }

    /// How long a video is: 64 to 256 KiB by default.
    pub fn video_bytes(mut self, bytes: RangeInclusive<u64>) -> Self {
        self.settings.chances.video_bytes = bytes;
        self
    }

    /// How many calls of `generate` and `details` together are let through in any stretch of time of
    /// this length: 20 in 10 s by default, as a sibling documents it. More are answered 429.
    pub fn rate_limit(mut self, calls: usize, per: Duration) -> Self {
        self.rate_limit = Some((calls, per));
        self
    }

    /// Lets any number of calls through.
    pub fn no_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self
    }

    /// The API key that callers must present: one that the seed makes up by default.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Renders and bills a task again when the same track is submitted again, instead of answering
    /// 409 with the task that there is.
    pub fn accept_repeats(mut self) -> Self {
        self.settings.accepts_repeats = true;
        self
    }

    /// How `details` writes points in time: as milliseconds by default.
    pub fn times(mut self, format: TimeFormat) -> Self {
        self.settings.chances.times = format;
        self
    }

    /// The code with which `details` answers for an unknown task, with `"data":null`: 200 by default.
    /// 422 was recorded too.
    pub fn unknown_code(mut self, code: i64) -> Self {
        self.settings.unknown_code = code;
        self
    }

    /// The port on 127.0.0.1: one that is free by default.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts to serve.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub async fn start(self) -> io::Result<SimulatedProvider> {
        SimulatedProvider::start(self).await
    }
}

impl fmt::Debug for SimulatedProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedProviderBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
