//! What the provider knows: its tasks, who asked for them, and what was called.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use http::StatusCode;
use tokio::sync::{mpsc, watch};

use super::{
    SimulatedProviderBuilder, Submitted, TaskPlan, Video,
    builder::{Planner, Settings},
    fate::{Answering, DownloadMishap, Fate, Reach},
    limit::Limit,
    report::Calls,
};
use crate::{
    clock::Stopwatch,
    testing::provider::{Attempt, Target, random::SplitMix64},
};

/// What all connections and all renders share.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) api_key: String,
    pub(super) base_url: String,
    pub(super) started: SystemTime,
    stopwatch: Stopwatch,
    state: Mutex<State>,
    /// Tasks that were submitted, to be rendered.
    pub(super) renders: mpsc::UnboundedSender<usize>,
    /// How many tasks are not through with their callbacks.
    pub(super) busy: watch::Sender<usize>,
}

/// What changes.
pub(super) struct State {
    pub(super) tasks: Vec<Task>,
    by_id: HashMap<Arc<str>, usize>,
    /// By music task and track.
    pub(super) tracks: BTreeMap<(String, String), Track>,
    /// New submissions so far.
    planned: usize,
    limit: Option<Limit>,
    pub(super) calls: Calls,
    pub(super) silent: bool,
    /// For the next new submissions that the planner leaves alone.
    plans: VecDeque<TaskPlan>,
    planner: Option<Planner>,
}

/// What was asked of one track.
#[derive(Default)]
pub(super) struct Track {
    /// Calls of `generate`, whatever was answered.
    pub(super) calls: usize,
    /// Its tasks: more than one were paid more than once.
    pub(super) tasks: Vec<usize>,
    /// What is decided and not submitted yet, since it is refused first.
    next: Option<Fate>,
}

/// One task.
pub(super) struct Task {
    pub(super) fate: Fate,
    pub(super) music_task_id: String,
    pub(super) audio_id: String,
    pub(super) callback_url: String,
    pub(super) target: Target,
    pub(super) created: SystemTime,
    /// When each URL of the video was made, the first by the end of the render.
    urls: Vec<SystemTime>,
    /// The callback could not be delivered.
    pub(super) undelivered: bool,
    pub(super) acknowledged: bool,
    pub(super) attempts: Vec<Attempt>,
    pub(super) details_calls: usize,
    pub(super) downloads: usize,
}

/// What `generate` does about a submission.
pub(super) enum Submission {
    Refused(i64),
    Submitted(Arc<str>, Answering),
    Exists(Arc<str>),
}

/// What is behind a URL of a video.
pub(super) enum File {
    Unknown,
    Expired(StatusCode),
    Found(Video, Option<DownloadMishap>),
}

impl World {
    pub(super) fn new(
        builder: SimulatedProviderBuilder,
        base_url: String,
        renders: mpsc::UnboundedSender<usize>,
    ) -> Self {
        let settings = builder.settings;
        let limit = builder
            .rate_limit
            .map(|(calls, per)| Limit::new(calls, per));
        let key = || format!("key-{:016x}", SplitMix64::new(settings.seed).fork(0).seed());
        Self {
            api_key: builder.api_key.unwrap_or_else(key),
            base_url,
            started: settings.clock.now(),
            stopwatch: settings.clock.stopwatch(),
            state: Mutex::new(State {
                tasks: Vec::new(),
                by_id: HashMap::new(),
                tracks: BTreeMap::new(),
                planned: 0,
                limit,
                calls: Calls::default(),
                silent: false,
                plans: builder.tasks,
                planner: builder.planner,
            }),
            settings,
            renders,
            busy: watch::Sender::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole, whoever panicked in a planner.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call is within the rate limit.
    pub(super) fn pass(&self) -> bool {
        let now = self.settings.clock.elapsed(&self.stopwatch);
        let mut state = self.state();
        let passes = state.limit.as_mut().is_none_or(|limit| limit.pass(now));
        state.calls.over_limit += usize::from(!passes);
        passes
    }

    /// What is done about a submission, and what is to be answered.
    pub(super) fn submit(
        &self,
        music_task_id: String,
        audio_id: String,
        callback_url: String,
        target: Target,
    ) -> Submission {
        let created = self.settings.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        let pair = (music_task_id, audio_id);
        let track = state.tracks.entry(pair.clone()).or_default();
        track.calls += 1;
        if let (Some(&task), false) = (track.tasks.first(), self.settings.accepts_repeats) {
            return Submission::Exists(Arc::clone(&state.tasks[task].fate.task_id));
        }
        let repeat = track.tasks.len();
        let mut fate = match track.next.take() {
            Some(fate) => fate,
            None => {
                let submitted = Submitted {
                    number: state.planned,
                    task_id: &pair.0,
                    audio_id: &pair.1,
                    repeat,
                };
                state.planned += 1;
                let plan = (state.planner.as_mut())
                    .and_then(|planner| planner(submitted))
                    .or_else(|| state.plans.pop_front())
                    .unwrap_or_default();
                let random = self.random(&pair, repeat);
                Fate::new(&random, plan, &self.settings.chances)
            }
        };
        if let Some(code) = fate.refusals.pop_front() {
            track.next = Some(fate);
            return Submission::Refused(code);
        }
        let (task_id, answer) = (Arc::clone(&fate.task_id), fate.answer);
        let number = state.tasks.len();
        track.tasks.push(number);
        state.by_id.insert(Arc::clone(&task_id), number);
        let (music_task_id, audio_id) = pair;
        state.tasks.push(Task {
            urls: vec![created + fate.end()],
            fate,
            music_task_id,
            audio_id,
            callback_url,
            target,
            created,
            undelivered: false,
            acknowledged: false,
            attempts: Vec::new(),
            details_calls: 0,
            downloads: 0,
        });
        self.busy.send_modify(|busy| *busy += 1);
        // Nobody renders any more once the provider is stopped.
        let _ = self.renders.send(number);
        Submission::Submitted(task_id, answer)
    }

    /// Chance that belongs to a submission, whenever it comes.
    fn random(&self, (music_task, audio): &(String, String), repeat: usize) -> SplitMix64 {
        let mut random = SplitMix64::new(self.settings.seed).fork(1);
        for text in [music_task, audio] {
            random = random.fork(text.len() as u64);
            for byte in text.bytes() {
                random = random.fork(u64::from(byte));
            }
        }
        random.fork(repeat as u64)
    }

    /// What is behind the path of a URL: `/videos/{task}-{number}.mp4`.
    pub(super) fn file(&self, path: &str, is_download: bool) -> File {
        let now = self.settings.clock.now();
        let mut state = self.state();
        let named = path
            .strip_prefix("/videos/")
            .and_then(|name| name.strip_suffix(".mp4"))
            .and_then(|name| name.rsplit_once('-'));
        let Some((task_id, number)) = named else {
            return File::Unknown;
        };
        let Some(&task) = state.by_id.get(task_id) else {
            return File::Unknown;
        };
        let task = &mut state.tasks[task];
        let number: Option<usize> = number.parse().ok();
        let Some(&made) = number.and_then(|number| task.urls.get(number)) else {
            return File::Unknown;
        };
        if task.fate.failure.is_some() || now < made {
            return File::Unknown;
        }
        if now >= made + task.fate.expiry {
            return File::Expired(task.fate.expired);
        }
        let mishap = if is_download {
            task.downloads += 1;
            task.fate.downloads.pop_front()
        } else {
            None
        };
        File::Found(task.fate.video, mishap)
    }

    /// The task that a caller of `details` asks for.
    pub(super) fn with_task<T>(
        &self,
        task_id: &str,
        look: impl FnOnce(&mut Task) -> T,
    ) -> Option<T> {
        let mut state = self.state();
        let task = *state.by_id.get(task_id)?;
        Some(look(&mut state.tasks[task]))
    }
}

impl Task {
    pub(super) fn ended(&self) -> SystemTime {
        self.created + self.fate.end()
    }

    /// Whether `details` knows it.
    pub(super) fn is_known(&self, now: SystemTime) -> bool {
        let age = now.duration_since(self.created).unwrap_or_default();
        self.fate.is_known(age)
    }

    /// The URL that is good now: a fresh one, if the last one has expired.
    pub(super) fn url(&mut self, base: &str, now: SystemTime) -> String {
        let last = self.urls.last().copied().unwrap_or(now);
        if now >= last + self.fate.expiry {
            self.urls.push(now);
        }
        self.numbered_url(base, self.urls.len() - 1)
    }

    /// The URL that the callback brings.
    pub(super) fn first_url(&self, base: &str) -> String {
        self.numbered_url(base, 0)
    }

    fn numbered_url(&self, base: &str, number: usize) -> String {
        format!("{base}/videos/{}-{number}.mp4", self.fate.task_id)
    }

    /// Whether `details` is to say that the callback could not be delivered.
    pub(super) fn is_exception(&self) -> bool {
        self.undelivered || self.fate.reach == Reach::Exception
    }
}
