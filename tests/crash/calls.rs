//! The simulated provider, calling all the time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tower_callback::{
    Clock, MusicVideo,
    testing::provider::{Attempt, Caller, Fault, Faults, Schedule, Totals},
};

/// How many tasks one round is about.
const TASKS: usize = 30;

/// What was acknowledged so far.
#[derive(Clone, Default)]
pub(crate) struct Acks(Arc<Mutex<HashMap<String, u16>>>);

impl Acks {
    /// The tasks, and the highest rank that was acknowledged.
    pub(crate) fn all(&self) -> HashMap<String, u16> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, attempt: &Attempt) {
        if attempt.kind.is_genuine() && attempt.is_received() {
            let mut acks = self.0.lock().unwrap();
            let rank = acks.entry(attempt.task_id.to_string()).or_default();
            *rank = (*rank).max(u16::from(attempt.code == 200));
        }
    }
}

/// Calls round after round until it is told to stop, and finishes the round it is in.
pub(crate) async fn call(
    url: String,
    lane: usize,
    seed: u64,
    acks: Acks,
    stop: Arc<AtomicBool>,
) -> Vec<Totals> {
    let mut rounds = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let round = rounds.len();
        let seed = seed.wrapping_add((round * 16 + lane) as u64);
        rounds.push(one_round(&url, &format!("{lane}-{round:05}"), seed, &acks).await);
    }
    rounds
}

/// Each task fails first, and succeeds after all; both are repeated, at the same time and later.
async fn one_round(url: &str, name: &str, seed: u64, acks: &Acks) -> Totals {
    // In real time: two seconds for an answer, and a retry every twentieth of a second for a minute.
    let schedule = Schedule::new(Duration::from_secs(120), [Duration::from_secs(3); 1200]);
    let faults = Faults::none()
        .with(Fault::Duplicate, 0.4)
        .with(Fault::Concurrent, 0.3)
        .with(Fault::Late, 0.1)
        .with(Fault::Cut, 0.05)
        .with(Fault::Slow, 0.02)
        .with(Fault::WrongProof, 0.05)
        .with(Fault::Malformed, 0.05);
    let acks = acks.clone();
    let mut provider = Caller::to(url)
        .unwrap()
        .clock(Clock::scaled(60))
        .schedule(schedule)
        .seed(seed)
        .pace(Duration::from_millis(500))
        .faults(faults)
        .concurrency(24)
        .observe(move |attempt| acks.note(attempt));
    for task in 0..TASKS {
        let task = format!("task-{name}-{task:03}");
        let video = format!("https://example.com/{task}.mp4");
        provider = provider
            .event(MusicVideo::failed(task.as_str(), 500, "try again later"))
            .event(MusicVideo::succeeded(task, video));
    }
    provider.run().await.totals()
}
