//! What came of what was acknowledged.

use std::collections::{HashMap, HashSet};

use sqlx::{Row, query};

use crate::{
    engine::{Direct, Kind},
    journal::{Line, What},
};

/// What came of what was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Acknowledged tasks that nobody was through with, or only with a lower rank than acknowledged.
    pub(crate) lost: u64,
    /// On Postgres: rows, by task and rank.
    pub(crate) applied: u64,
    /// On Postgres: rows of one task and rank beyond the first.
    pub(crate) applied_twice: u64,
    /// On Postgres: failures whose effect came after that of their task's success.
    pub(crate) late_failures: u64,
    /// Handlers' calls.
    pub(crate) calls: u64,
    /// Calls of which nobody was through with the event.
    pub(crate) in_vain: u64,
    /// Events that more than one handler was through with.
    pub(crate) handled_twice: u64,
    /// Events that two leases were settled as done for.
    pub(crate) settled_twice: u64,
    /// Events that a handler got after they were settled as done.
    pub(crate) handled_after: u64,
    /// Leases whose settlement or completion was refused, since somebody else had the record.
    pub(crate) conflicts: u64,
    /// Leases that were lost while they were extended.
    pub(crate) leases_lost: u64,
}

impl Effects {
    pub(crate) async fn of(
        direct: &Direct,
        journal: &[Line],
        acknowledged: &HashMap<String, u16>,
    ) -> Self {
        let mut effects = Self::default();
        let mut highest = HashMap::new();
        effects.read(journal, &mut highest);
        if let Direct::Postgres(_, pool) = direct {
            // A line may be missing for what was committed just before a kill: the rows decide.
            highest.clear();
            let mut seen = HashSet::new();
            let rows = query("SELECT task, rank FROM effect ORDER BY id").fetch_all(pool);
            for row in rows.await.unwrap() {
                let (task, rank): (String, i32) = (row.get(0), row.get(1));
                effects.applied += 1;
                effects.applied_twice += u64::from(!seen.insert((task.clone(), rank)));
                let rank = rank.try_into().unwrap();
                let known = raise(&mut highest, &task, rank);
                effects.late_failures += u64::from(known > rank);
            }
        }
        for (task, rank) in acknowledged {
            let reached = highest.get(&**task);
            effects.lost += u64::from(reached.is_none_or(|reached| reached < rank));
        }
        effects
    }

    fn read(&mut self, journal: &[Line], highest: &mut HashMap<String, u16>) {
        let mut handled: HashSet<(&str, u16)> = HashSet::new();
        let mut ends = 0;
        let mut twice = HashSet::new();
        let mut unextended: HashSet<&str> = HashSet::new();
        let mut refused: HashSet<&str> = HashSet::new();
        let mut done: HashMap<(&str, u16), &str> = HashMap::new();
        for line in journal {
            let event = (&*line.task, line.rank);
            match line.what {
                What::Begins => {
                    self.calls += 1;
                    self.handled_after += u64::from(done.contains_key(&event));
                }
                What::Handled => {
                    ends += 1;
                    if !handled.insert(event) {
                        twice.insert(event);
                    }
                    raise(highest, &line.task, line.rank);
                }
                What::Done => {
                    let token = done.entry(event).or_insert(&*line.token);
                    self.settled_twice += u64::from(*token != line.token);
                }
                What::SettlesNothing | What::CompletesNothing => {
                    refused.insert(&*line.token);
                }
                What::ExtendsNothing => {
                    unextended.insert(&*line.token);
                }
            }
        }
        self.in_vain = self.calls.saturating_sub(ends);
        // What a transaction has completed is extended until the worker has heard of that; and when
        // a better event came in between, he settles it, because he cannot hear of it any more.
        let completed: HashSet<_> = done.into_values().collect();
        self.leases_lost = unextended.difference(&completed).count() as u64;
        self.conflicts = refused.difference(&completed).count() as u64;
        self.handled_twice = twice.len() as u64;
    }

    /// What must never be, whatever becomes of processes, connections and the engine.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        told(&[
            ("acknowledged events were lost", self.lost),
            ("effects were applied twice", self.applied_twice),
            ("events were settled as done twice", self.settled_twice),
            (
                "failures came after their task's success",
                self.late_failures,
            ),
        ])
    }

    /// What must not be either where no lease ends before its worker is through.
    pub(crate) fn wrongs_where_no_lease_is_lost(&self, kind: Kind) -> Vec<String> {
        let mut wrongs = self.wrongs();
        wrongs.extend(told(&[
            ("events were handled twice", self.handled_twice),
            (
                "events were handled after they were done",
                self.handled_after,
            ),
        ]));
        // A transaction that was committed, and whose answer was lost, leaves a lease that is over.
        if kind == Kind::Redis {
            wrongs.extend(told(&[
                ("settlements were refused", self.conflicts),
                ("leases were lost", self.leases_lost),
            ]));
        }
        wrongs
    }
}

fn told(wrongs: &[(&str, u64)]) -> Vec<String> {
    let wrongs = wrongs.iter().filter(|(_, count)| *count > 0);
    wrongs
        .map(|(what, count)| format!("{count} {what}"))
        .collect()
}

/// Raises a task's rank, and tells the highest that it had.
fn raise(highest: &mut HashMap<String, u16>, task: &str, rank: u16) -> u16 {
    let known = highest.entry(task.to_owned()).or_default();
    let before = *known;
    *known = before.max(rank);
    before
}
