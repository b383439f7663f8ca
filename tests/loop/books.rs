//! What the service wrote down, held against the rule: nothing is handled twice.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tower_callback::store::{State, Store};

use crate::{
    journal::{Given, Line},
    receiver::{Place, events, integrity, open},
    service::LEASE,
    setup::{SPEED, Setup},
};

type Handled = (String, u16);

/// What is known of the handler's work.
pub(crate) struct Books {
    setup: Setup,
    read: usize,
    /// Begun in this process, and not failed: at which attempt, and when.
    held: HashMap<Handled, (u32, u64)>,
    /// The highest rank that was settled when a process ended.
    settled: HashMap<String, u16>,
    /// The highest rank that was begun.
    begun: HashMap<String, u16>,
    /// Leases that expired while their process lived.
    pub(crate) expired: usize,
    pub(crate) given: Vec<Given>,
    pub(crate) ended: HashSet<Handled>,
    pub(crate) waited: HashMap<String, HashSet<String>>,
    pub(crate) given_up: HashMap<String, String>,
    pub(crate) wrongs: Vec<String>,
}

impl Books {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            read: 0,
            held: HashMap::new(),
            settled: HashMap::new(),
            begun: HashMap::new(),
            expired: 0,
            given: Vec::new(),
            ended: HashSet::new(),
            waited: HashMap::new(),
            given_up: HashMap::new(),
            wrongs: Vec::new(),
        }
    }

    /// Reads on, after a process has ended: and looks at a copy of the database, so that recovering the
    /// original is left to the next process.
    pub(crate) async fn look(&mut self, place: &Place) {
        let lines = Line::read(&self.setup.journal);
        for line in &lines[self.read..] {
            self.line(line.clone());
        }
        self.read = lines.len();
        let copy = tempfile::tempdir().unwrap();
        place.copy(copy.path());
        let database = copy.path().join("callbacks.db");
        if !database.exists() {
            return;
        }
        let integrity = integrity(&database).await;
        if integrity != "ok" {
            self.wrongs
                .push(format!("the file is damaged: {integrity}"));
        }
        let store = open(&database).await;
        for task in self.begun.keys() {
            let found = store.find(&events(), task.as_bytes()).await.unwrap();
            match found {
                None => self
                    .wrongs
                    .push(format!("{task} was handled, and has no record")),
                Some(found) if found.state == State::Done => {
                    self.settled.insert(task.clone(), found.rank);
                }
                Some(_) => {}
            }
        }
    }

    fn line(&mut self, line: Line) {
        match line {
            // What the one before held, it holds no longer.
            Line::Start => self.held.clear(),
            Line::Begin(given) => self.begin(given),
            Line::Failed { task, rank } => {
                self.held.remove(&(task, rank));
            }
            Line::End { task, rank } => {
                self.ended.insert((task, rank));
            }
            Line::Tracked(_) => {}
            Line::Waited { order, task } => {
                self.waited.entry(order).or_default().insert(task);
            }
            Line::GivenUp { order, reason } => {
                self.given_up.insert(order, reason);
            }
            Line::Surprise(what) => self.wrongs.push(what),
        }
    }

    fn begin(&mut self, given: Given) {
        let (task, rank) = (given.task.clone(), given.rank);
        let mut wrong = |what: &str| self.wrongs.push(format!("{task} (rank {rank}) {what}"));
        if self
            .settled
            .get(&task)
            .is_some_and(|settled| *settled >= rank)
        {
            wrong("was handled again after it was settled");
        }
        if self.begun.get(&task).is_some_and(|begun| *begun > rank) {
            wrong("was handled as a failure after its success");
        }
        let this = (given.attempt, given.at);
        if let Some((attempt, at)) = self.held.insert((task.clone(), rank), this) {
            // A machine that stands still lets a lease expire, which is seen in the next attempt's number.
            let expired = Duration::from_millis(given.at.saturating_sub(at)) >= LEASE / SPEED / 2;
            if expired && given.attempt > attempt {
                self.expired += 1;
            } else {
                self.wrongs.push(format!(
                    "{task} (rank {rank}) was handled twice by one process: {given:?}"
                ));
            }
        }
        let highest = self.begun.entry(task).or_default();
        *highest = (*highest).max(rank);
        self.given.push(given);
    }
}
