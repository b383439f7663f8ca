//! What the provider calls about, and what it was answered.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn},
};

use crate::{
    lane::{Answer, call},
    role::PATH,
};

/// Of ten callbacks, as many are the first of their kind. The others repeat one of those before.
const FIRST: usize = 7;

/// A front, as the provider sees it.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    pub(crate) target: String,
    /// Set while it is being stopped and started, when nobody may be there.
    pub(crate) away: Arc<AtomicBool>,
    pub(crate) turn: Arc<Turn>,
}

/// What a load balancer in front of a front knows.
#[derive(Default)]
pub(crate) struct Turn {
    /// Nobody is sent there.
    out: AtomicBool,
    /// Attempts that are under way there.
    attempts: AtomicUsize,
    /// How often it was taken out: no connection is used again afterwards.
    outs: AtomicUsize,
}

impl Turn {
    /// Sends nobody there any more, and waits for those who are there.
    pub(crate) async fn take_out(&self) {
        self.outs.fetch_add(1, Ordering::SeqCst);
        self.out.store(true, Ordering::SeqCst);
        while self.attempts.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn put_back(&self) {
        self.out.store(false, Ordering::SeqCst);
    }

    /// Sends an attempt there, unless it is taken out. The answer tells connections apart.
    pub(crate) fn begin(&self) -> Option<usize> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.out.load(Ordering::SeqCst) {
            self.end();
            return None;
        }
        Some(self.outs.load(Ordering::SeqCst))
    }

    pub(crate) fn end(&self) {
        self.attempts.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Way {
    pub(crate) fn to(address: SocketAddr, secret: &str) -> Self {
        Self {
            address,
            target: format!("{PATH}?token={secret}"),
            away: Arc::default(),
            turn: Arc::default(),
        }
    }
}

/// One callback: of every tenth task a failure comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callback {
    task: usize,
    pub(crate) rank: u16,
}

impl Callback {
    fn number(number: usize) -> Self {
        let (block, place) = (number / 10, number % 10);
        let event = match place {
            0..FIRST => block * FIRST + place,
            // One of this block, or of those before: some repeats come at the same time, others later.
            _ => (block * FIRST + FIRST - 1).saturating_sub(number * 31 % 200),
        };
        match event % 10 {
            0 => Self {
                task: event + 1,
                rank: 0,
            },
            _ => Self {
                task: event,
                rank: 1,
            },
        }
    }

    pub(crate) fn task(self) -> String {
        format!("task-{:06}", self.task)
    }

    pub(crate) fn body(self) -> String {
        let task = self.task();
        match self.rank {
            0 => format!(
                r#"{{"code":500,"msg":"try again later","data":{{"task_id":"{task}","video_url":null}}}}"#
            ),
            _ => format!(
                r#"{{"code":200,"msg":"success","data":{{"task_id":"{task}","video_url":"https://example.com/{task}.mp4"}}}}"#
            ),
        }
    }
}

/// How far the provider may go.
#[derive(Clone, Copy)]
struct Limits {
    allowed: usize,
    end: usize,
}

/// A provider that calls random fronts, each callback until it was answered with 200.
pub(crate) struct Calls {
    shared: Arc<Shared>,
    lanes: Vec<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) ways: Vec<Way>,
    pub(crate) pace: Duration,
    next: AtomicUsize,
    limits: watch::Sender<Limits>,
    seen: Mutex<Seen>,
}

/// What was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Callbacks that were answered with 200 at last.
    pub(crate) callbacks: usize,
    /// Of these, repeats of one that was answered before.
    pub(crate) repeats: usize,
    /// The highest rank that was acknowledged, by task.
    pub(crate) acknowledged: HashMap<String, u16>,
    events: std::collections::HashSet<(usize, u16)>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Nobody was there, or nobody answered.
    pub(crate) refused: u64,
    pub(crate) broken: u64,
    /// The same, at a front that was not being stopped.
    pub(crate) unexpected: u64,
}

impl Seen {
    pub(crate) fn status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    pub(crate) fn other_than(&self, statuses: &[u16]) -> u64 {
        let others = self
            .statuses
            .iter()
            .filter(|(status, _)| !statuses.contains(status));
        others.map(|(_, count)| count).sum()
    }
}

impl Calls {
    /// Begins to call, on so many lanes, with a pause after each callback. It may go as far as it is
    /// [allowed](Self::allow).
    pub(crate) fn begin(ways: &[Way], lanes: usize, pace: Duration) -> Self {
        let limits = Limits {
            allowed: 0,
            end: usize::MAX,
        };
        let shared = Arc::new(Shared {
            ways: ways.to_vec(),
            pace,
            next: AtomicUsize::new(0),
            limits: watch::Sender::new(limits),
            seen: Mutex::default(),
        });
        let lanes = (0..lanes)
            .map(|lane| spawn(call(Arc::clone(&shared), lane % 2 == 0)))
            .collect();
        Self { shared, lanes }
    }

    pub(crate) fn allow(&self, callbacks: usize) {
        self.shared
            .limits
            .send_modify(|limits| limits.allowed = callbacks);
    }

    /// How many were begun.
    pub(crate) fn count(&self) -> usize {
        self.shared.next.load(Ordering::Relaxed)
    }

    /// Waits until as many were begun.
    pub(crate) async fn begun(&self, callbacks: usize) {
        while self.count() < callbacks {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Begins nothing beyond so many callbacks, waits until all of them were answered with 200, and
    /// tells what else was answered.
    pub(crate) async fn end(self, callbacks: usize) -> Seen {
        self.shared.limits.send_modify(|limits| {
            limits.end = callbacks;
            limits.allowed = usize::MAX;
        });
        for lane in self.lanes {
            lane.await.unwrap();
        }
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    /// The next callback, when it may be made; none at the end.
    pub(crate) async fn next(&self) -> Option<Callback> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut limits = self.limits.subscribe();
        let limits = limits
            .wait_for(|limits| number < limits.allowed || number >= limits.end)
            .await;
        (number < limits.unwrap().end).then(|| Callback::number(number))
    }

    pub(crate) fn note(&self, callback: Callback, answer: Answer, expected: bool) {
        let mut seen = self.seen.lock().unwrap();
        match answer {
            Answer::Status(status) => {
                *seen.statuses.entry(status).or_default() += 1;
                if status == 200 {
                    seen.callbacks += 1;
                    let new = seen.events.insert((callback.task, callback.rank));
                    seen.repeats += usize::from(!new);
                    let known = seen.acknowledged.entry(callback.task()).or_default();
                    *known = (*known).max(callback.rank);
                }
                return;
            }
            Answer::Refused => seen.refused += 1,
            Answer::Broken => seen.broken += 1,
        }
        seen.unexpected += u64::from(!expected);
    }
}
