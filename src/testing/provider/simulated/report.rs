//! What really happened.

use std::{fmt, sync::Arc};

use super::{Video, world::World};
use crate::testing::provider::{Attempt, Kind};

/// What really happened at a [`SimulatedProvider`](super::SimulatedProvider), up to the moment it was
/// asked.
///
/// `Display` writes one line for each task, and the totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulationReport {
    tasks: Vec<TaskReport>,
    tracks: Vec<TrackReport>,
    calls: Calls,
}

/// What became of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskReport {
    /// The task, as `generate` named it.
    pub task_id: Arc<str>,
    /// The music task that it was submitted for.
    pub music_task_id: String,
    /// The track of that.
    pub audio_id: String,
    /// What the task really became, whatever was called back and answered.
    pub truth: Truth,
    /// The video, once there is one.
    pub video: Option<Video>,
    /// Whether a genuine callback about the task's end was answered with 200.
    pub acknowledged: bool,
    /// The requests that called back and have ended, in the order of their answers.
    pub attempts: Vec<Attempt>,
    /// How often `details` was asked about it, those calls left out that were refused by the key or
    /// the rate limit.
    pub details_calls: usize,
    /// How often the video was asked for with `GET` while its URL was good.
    pub downloads: usize,
}

/// What a task became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It has not ended.
    Pending,
    /// There is a video.
    Succeeded,
    /// There is none.
    Failed {
        /// Why.
        code: i64,
    },
}

/// What was asked of `generate` for one track.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackReport {
    /// The music task.
    pub music_task_id: String,
    /// The track of it.
    pub audio_id: String,
    /// Calls of `generate` that got as far as to be decided on, whatever was answered.
    pub calls: usize,
    /// The tasks that came of them. Each was paid.
    pub tasks: Vec<Arc<str>>,
}

/// How often the API was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Calls of `generate`, whatever was answered.
    pub generate: usize,
    /// Calls of `details`, whatever was answered.
    pub details: usize,
    /// Calls without the right API key.
    pub unauthorized: usize,
    /// Calls over the rate limit.
    pub over_limit: usize,
}

impl SimulationReport {
    pub(super) fn of(world: &World) -> Self {
        let now = world.settings.clock.now();
        let state = world.state();
        let tasks = state.tasks.iter().map(|task| {
            let truth = match &task.fate.failure {
                _ if now < task.ended() => Truth::Pending,
                Some(failure) => Truth::Failed { code: failure.code },
                None => Truth::Succeeded,
            };
            TaskReport {
                task_id: Arc::clone(&task.fate.task_id),
                music_task_id: task.music_task_id.clone(),
                audio_id: task.audio_id.clone(),
                truth,
                video: (truth == Truth::Succeeded).then_some(task.fate.video),
                acknowledged: task.acknowledged,
                attempts: task.attempts.clone(),
                details_calls: task.details_calls,
                downloads: task.downloads,
            }
        });
        let tracks = state
            .tracks
            .iter()
            .map(|((music_task_id, audio_id), track)| {
                let id = |task: &usize| Arc::clone(&state.tasks[*task].fate.task_id);
                TrackReport {
                    music_task_id: music_task_id.clone(),
                    audio_id: audio_id.clone(),
                    calls: track.calls,
                    tasks: track.tasks.iter().map(id).collect(),
                }
            });
        Self {
            tasks: tasks.collect(),
            tracks: tracks.collect(),
            calls: state.calls,
        }
    }

    /// The tasks, in the order in which they were submitted.
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }

    /// The task of this id.
    pub fn task(&self, task_id: &str) -> Option<&TaskReport> {
        self.tasks.iter().find(|task| &*task.task_id == task_id)
    }

    /// What was asked of `generate`, by music task and track.
    pub fn tracks(&self) -> &[TrackReport] {
        &self.tracks
    }

    /// The tracks that were paid more than once.
    pub fn paid_twice(&self) -> impl Iterator<Item = &TrackReport> {
        self.tracks.iter().filter(|track| track.tasks.len() > 1)
    }

    /// How often the API was called.
    pub fn calls(&self) -> Calls {
        self.calls
    }

    /// How many requests of this kind called back and have ended.
    pub fn sent(&self, kind: Kind) -> usize {
        self.attempts()
            .filter(|attempt| attempt.kind == kind)
            .count()
    }

    /// How many forged and malformed requests were answered with 200. They should not have been.
    pub fn deceived(&self) -> usize {
        self.attempts()
            .filter(|attempt| attempt.is_received() && !attempt.kind.is_genuine())
            .count()
    }

    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.tasks.iter().flat_map(|task| &task.attempts)
    }
}

impl fmt::Display for SimulationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for task in &self.tasks {
            writeln!(f, "{task}")?;
        }
        let count = |is: fn(&TaskReport) -> bool| self.tasks.iter().filter(|it| is(it)).count();
        let succeeded = count(|it| it.truth == Truth::Succeeded);
        let pending = count(|it| it.truth == Truth::Pending);
        let lines = [
            ("tasks", self.tasks.len()),
            ("succeeded", succeeded),
            ("failed", self.tasks.len() - succeeded - pending),
            ("acknowledged", count(|it| it.acknowledged)),
            ("paid twice", self.paid_twice().count()),
            ("callbacks", self.attempts().count()),
            ("deceived", self.deceived()),
            ("generate", self.calls.generate),
            ("details", self.calls.details),
            ("unauthorized", self.calls.unauthorized),
            ("over limit", self.calls.over_limit),
        ];
        for (index, (name, number)) in lines.into_iter().enumerate() {
            let feed = if index == 0 { "" } else { "\n" };
            write!(f, "{feed}{name:<13}{number:>8}")?;
        }
        Ok(())
    }
}

/// `taskId_774b9aa0422f0001  succeeded   acknowledged    2 callbacks    1 details    1 downloads`
impl fmt::Display for TaskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acknowledged = if self.acknowledged {
            "acknowledged"
        } else {
            ""
        };
        write!(
            f,
            "{:<23}  {:<10}  {acknowledged:<12} {:>4} callbacks {:>4} details {:>4} downloads",
            self.task_id,
            self.truth.to_string(),
            self.attempts.len(),
            self.details_calls,
            self.downloads,
        )
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("pending"),
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed { code } => write!(f, "failed {code}"),
        }
    }
}
