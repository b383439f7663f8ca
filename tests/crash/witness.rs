//! Compares what was acknowledged with what is in the database and in the handlers' journal.

use std::collections::HashMap;

use sqlx::{Connection, Row, query};
use tower_callback::store::{State, Store};

use crate::{
    calls::Acks,
    receiver::{Line, Mode, Place, connect, counts, events, integrity, open},
};

pub(crate) struct Witness {
    mode: Mode,
    /// How much of the journal was read.
    read: usize,
    /// The highest rank of each task that is settled: by the journal, or by what the database said
    /// after a kill.
    settled: HashMap<String, u16>,
    /// The highest rank of each task that a handler was through with.
    ended: HashMap<String, u16>,
    /// The highest rank of each task that a handler got.
    begun: HashMap<String, u16>,
    pub(crate) begins: usize,
    /// Tasks of which nothing more is to be asked.
    closed: HashMap<String, u16>,
    pub(crate) wrongs: Vec<String>,
}

impl Witness {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            read: 0,
            settled: HashMap::new(),
            ended: HashMap::new(),
            begun: HashMap::new(),
            begins: 0,
            closed: HashMap::new(),
            wrongs: Vec::new(),
        }
    }

    /// Looks at everything while no receiver runs: at a copy of the database, so that recovering
    /// the original is left to the next receiver.
    pub(crate) async fn look(&mut self, place: &Place, acks: &Acks) {
        self.read_journal(place);
        let copy = tempfile::tempdir().unwrap();
        place.copy(copy.path());
        let database = copy.path().join("callbacks.db");
        let acks = acks.all();
        if acks.is_empty() && !database.exists() {
            return;
        }
        self.look_into(&database, &acks).await;
    }

    async fn look_into(&mut self, database: &std::path::Path, acks: &HashMap<String, u16>) {
        let integrity = integrity(database).await;
        if integrity != "ok" {
            self.wrongs
                .push(format!("the file is damaged: {integrity}"));
        }
        let store = open(database).await;
        let mut conn = connect(database).await;
        for (task, rank) in acks {
            if self.closed.get(task).is_some_and(|closed| closed >= rank) {
                continue;
            }
            let found = store.find(&events(), task.as_bytes()).await.unwrap();
            let Some(found) = found.filter(|found| found.rank >= *rank) else {
                self.wrong("was acknowledged and is not in the database", task, *rank);
                continue;
            };
            if found.state != State::Done {
                continue;
            }
            self.settled.insert(task.clone(), found.rank);
            // The highest rank there is: nothing more can come.
            if found.rank == 1 {
                self.closed.insert(task.clone(), found.rank);
            }
            if self.mode == Mode::ExactlyOnce {
                let effects = query("SELECT count(*) FROM effect WHERE task = ? AND rank = ?")
                    .bind(task)
                    .bind(found.rank)
                    .fetch_one(&mut conn)
                    .await
                    .unwrap();
                if effects.get::<i64, _>(0) != 1 {
                    self.wrong(
                        "is done, and its effect was not applied once",
                        task,
                        found.rank,
                    );
                }
            }
        }
        conn.close().await.unwrap();
    }

    fn read_journal(&mut self, place: &Place) {
        let (lines, read) = place.journal_from(self.read);
        self.read = read;
        for line in lines {
            match line {
                Line::Begin(task, rank) => self.begin(task, rank),
                Line::End(task, rank) => raise(&mut self.ended, task, rank),
                Line::Settled(task, rank) => raise(&mut self.settled, task, rank),
            }
        }
    }

    fn begin(&mut self, task: String, rank: u16) {
        self.begins += 1;
        if self
            .settled
            .get(&task)
            .is_some_and(|settled| *settled >= rank)
        {
            self.wrong("was handled again after it was settled", &task, rank);
        }
        if self.begun.get(&task).is_some_and(|begun| *begun > rank) {
            self.wrong("was handled as a failure after its success", &task, rank);
        }
        raise(&mut self.begun, task, rank);
    }

    fn wrong(&mut self, what: &str, task: &str, rank: u16) {
        self.wrongs.push(format!("{task} (rank {rank}) {what}"));
    }

    /// Looks at everything at the end, when nothing is left to be done.
    pub(crate) async fn close(&mut self, place: &Place, acks: &Acks) -> Effects {
        self.closed.clear();
        self.look(place, acks).await;
        let store = open(&place.database()).await;
        let counts = counts(&store).await;
        if counts.dead > 0 {
            self.wrongs
                .push(format!("{} events were given up", counts.dead));
        }
        drop(store);
        if self.mode == Mode::ExactlyOnce {
            return self.effects(place, acks).await;
        }
        for (task, rank) in acks.all() {
            if self.ended.get(&task).is_none_or(|ended| *ended < rank) {
                self.wrong("was acknowledged and not handled", &task, rank);
            }
        }
        Effects::default()
    }

    async fn effects(&mut self, place: &Place, acks: &Acks) -> Effects {
        let mut conn = connect(&place.database()).await;
        let rows = query("SELECT task, rank, count(*) FROM effect GROUP BY task, rank")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
        let mut effects = Effects::default();
        let mut highest = HashMap::new();
        for row in rows {
            effects.applied += 1;
            effects.twice += usize::from(row.get::<i64, _>(2) > 1);
            raise(&mut highest, row.get(0), row.get(1));
        }
        for (task, rank) in acks.all() {
            effects.lost += usize::from(highest.get(&task).is_none_or(|found| *found < rank));
        }
        effects
    }
}

/// What became of the effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) applied: usize,
    pub(crate) twice: usize,
    pub(crate) lost: usize,
}

fn raise(ranks: &mut HashMap<String, u16>, task: String, rank: u16) {
    let known = ranks.entry(task).or_default();
    *known = (*known).max(rank);
}
