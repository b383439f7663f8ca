//! A store that does as it is told, and remembers what it was asked.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::yield_now};

use crate::store::{Durability, Inbox, Inserted, NewRecord, Queue, RecordId, State, StoreError};

/// What a call of the store does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Do {
    Answer,
    /// Answers for this many records, whatever it was given.
    AnswerFor(usize),
    /// Answers after so many polls.
    AnswerAfter(usize),
    Reject,
    Fail,
    /// Writes the records, and fails then.
    WriteAndFail,
    Panic,
    Hang,
    /// Hangs, and panics when the call is dropped: this kills the task that writes.
    HangAndPanicWhenDropped,
}

type Plan = dyn Fn(usize, &[NewRecord]) -> Do + Send + Sync;

pub(super) struct Script {
    plan: Box<Plan>,
    durability: Durability,
    commits_at_once: usize,
    /// A call takes one permit for good before it does anything.
    gate: Semaphore,
    calls: Mutex<Vec<Vec<RecordId>>>,
    rows: Mutex<HashMap<Vec<u8>, RecordId>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Script {
    /// Every call answers.
    pub(super) fn new() -> Self {
        Self::planned(|_, _| Do::Answer)
    }

    /// Each call does what the plan says for its number, from 0, and its records.
    pub(super) fn planned(
        plan: impl Fn(usize, &[NewRecord]) -> Do + Send + Sync + 'static,
    ) -> Self {
        Self {
            plan: Box::new(plan),
            durability: Durability::Durable,
            commits_at_once: 1,
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            calls: Mutex::default(),
            rows: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        }
    }

    pub(super) fn volatile(mut self) -> Self {
        self.durability = Durability::Volatile;
        self
    }

    pub(super) fn commits_at_once(mut self, at_once: usize) -> Self {
        self.commits_at_once = at_once;
        self
    }

    /// No call gets on before it is let through.
    pub(super) fn gated(mut self) -> Self {
        self.gate = Semaphore::new(0);
        self
    }

    pub(super) fn let_through(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    pub(super) fn open(&self) {
        self.let_through(1_000_000);
    }

    /// The ids of every call, in the order in which they began.
    pub(super) fn calls(&self) -> Vec<Vec<RecordId>> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.calls.lock().unwrap().iter().map(Vec::len).collect()
    }

    pub(super) fn begun(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// How many calls have begun and neither ended nor been dropped.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    pub(super) fn most_under_way(&self) -> usize {
        self.most_under_way.load(Ordering::SeqCst)
    }

    pub(super) fn has(&self, id: RecordId) -> bool {
        self.rows.lock().unwrap().values().any(|row| *row == id)
    }

    pub(super) fn stored(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    fn write(&self, record: &NewRecord) -> Inserted {
        let mut rows = self.rows.lock().unwrap();
        let id = *rows.entry(record.key.to_vec()).or_insert(record.id);
        if id == record.id {
            return Inserted::Fresh;
        }
        Inserted::Duplicate {
            id,
            rank: 0,
            state: State::Pending,
            differs: false,
        }
    }
}

impl Inbox for Script {
    fn durability(&self) -> Durability {
        self.durability
    }

    fn commits_at_once(&self) -> usize {
        self.commits_at_once
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(records.iter().map(|record| record.id).collect());
            calls.len() - 1
        };
        let _under_way = UnderWay::new(self);
        self.gate.acquire().await.unwrap().forget();
        let write = || records.iter().map(|record| self.write(record)).collect();
        match (self.plan)(number, records) {
            Do::Answer => Ok(write()),
            Do::AnswerFor(count) => Ok(vec![Inserted::Fresh; count]),
            Do::AnswerAfter(polls) => {
                for _ in 0..polls {
                    yield_now().await;
                }
                Ok(write())
            }
            Do::Reject => Err(StoreError::rejected("a byte too many")),
            Do::Fail => Err(StoreError::unavailable("the disk is full")),
            Do::WriteAndFail => {
                let _: Vec<_> = write();
                Err(StoreError::unavailable("the answer was lost"))
            }
            Do::Panic => panic!("a bug in the store"),
            Do::Hang => std::future::pending().await,
            Do::HangAndPanicWhenDropped => {
                let _bomb = Bomb;
                std::future::pending().await
            }
        }
    }
}

struct UnderWay<'a>(&'a Script);

impl<'a> UnderWay<'a> {
    fn new(script: &'a Script) -> Self {
        let now = script.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_under_way.fetch_max(now, Ordering::SeqCst);
        Self(script)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a bug in the store's clean-up");
        }
    }
}

/// A record with a key of its own: 8 bytes of key, `body` bytes of body.
pub(super) fn record(number: u64, body: usize) -> NewRecord {
    NewRecord::new(
        Queue::events("music-video"),
        number.to_be_bytes().to_vec(),
        vec![b'x'; body],
    )
}

/// The future's output, which must come: the limit only ends a test that hangs.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("this must not hang")
}

/// Lets the other tasks run until the condition holds.
pub(super) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            yield_now().await;
        }
    })
    .await;
}
