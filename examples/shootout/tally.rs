//! What became of the events, by what the provider sent and what the receiver noted.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use tower_callback::testing::provider::{Answer, Attempt, Report};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Tasks whose end was never handled.
    lost: usize,
    /// And the provider was told that it was received.
    lost_though_acknowledged: usize,
    /// Events that were handled more than once.
    twice: usize,
    /// Tasks whose failure was handled after their success.
    undone: usize,
    /// Times that something was handled that is no event of the provider's.
    forged: usize,
    /// Genuine requests that were not answered within the provider's 15 s.
    late: usize,
    requests: usize,
}

impl Tally {
    pub(super) const HEAD: &str = "\
| receiver | lost | handled twice | answered too late | failure after success | forged, handled | requests |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |";

    /// From the events, each with its code and whether it was acknowledged, and from the receiver's
    /// file: a task and a code in each line.
    pub(super) fn of<'a>(
        events: impl Iterator<Item = (&'a str, i64, bool)>,
        journal: &str,
    ) -> Self {
        // A success is final.
        let mut ends = HashMap::new();
        for (task, code, acknowledged) in events {
            if matches!(code, 0 | 200) || !ends.contains_key(task) {
                ends.insert(task, (format!("{task} {code}"), acknowledged));
            }
        }
        let mut tally = Self::default();
        let (mut noted, mut twice, mut undone) = (HashSet::new(), HashSet::new(), HashSet::new());
        for line in journal.lines() {
            let task = line.rsplit_once(' ').map_or(line, |(task, _)| task);
            let Some((end, _)) = ends.get(task) else {
                tally.forged += 1;
                continue;
            };
            if !noted.insert(line) {
                twice.insert(line);
            }
            if line != end && noted.contains(end.as_str()) {
                undone.insert(task);
            }
        }
        for (end, acknowledged) in ends.values() {
            let is_lost = !noted.contains(end.as_str());
            tally.lost += usize::from(is_lost);
            tally.lost_though_acknowledged += usize::from(is_lost && *acknowledged);
        }
        (tally.twice, tally.undone) = (twice.len(), undone.len());
        tally
    }

    pub(super) fn with_answers(mut self, report: &Report) -> Self {
        let attempts = report.attempts();
        let is_late = |it: &&&Attempt| it.kind.is_genuine() && it.answer == Answer::TimedOut;
        self.late = attempts.iter().filter(is_late).count();
        self.requests = attempts.len();
        self
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_complete(&self) -> bool {
        self.lost == 0
    }

    /// What holds on any machine, however busy. An answer may be late there.
    pub(super) fn keeps_our_promise(&self) -> bool {
        let Self {
            twice,
            undone,
            forged,
            ..
        } = *self;
        (self.lost_though_acknowledged, twice, undone, forged) == (0, 0, 0, 0)
    }
}

/// The rest of a row.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            lost_though_acknowledged: _,
            twice,
            undone,
            forged,
            late,
            requests,
        } = self;
        write!(
            f,
            "| {lost} | {twice} | {late} | {undone} | {forged} | {requests} |"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [(&str, i64, bool); 4] = [
        ("a", 500, true),
        ("a", 200, true),
        ("b", 451, true),
        ("c", 0, false),
    ];

    fn counts(journal: &str) -> [usize; 5] {
        let tally = Tally::of(EVENTS.into_iter(), journal);
        [
            tally.lost,
            tally.lost_though_acknowledged,
            tally.twice,
            tally.undone,
            tally.forged,
        ]
    }

    #[test]
    fn every_end_that_is_noted_once_is_right() {
        assert_eq!(counts("a 500\nb 451\nc 0\na 200\n"), [0, 0, 0, 0, 0]);
        assert_eq!(counts("b 451\nc 0\na 200\n"), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_task_is_lost_without_its_success_or_its_only_failure() {
        assert_eq!(counts("a 500\nb 451\nc 0\n"), [1, 1, 0, 0, 0]);
        assert_eq!(counts("a 200\n"), [2, 1, 0, 0, 0]);
    }

    #[test]
    fn an_event_counts_once_as_handled_twice() {
        assert_eq!(counts("a 200\nb 451\nc 0\nb 451\nb 451\n"), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_failure_after_the_success_undoes_it() {
        assert_eq!(counts("a 200\na 500\nb 451\nc 0\n"), [0, 0, 0, 1, 0]);
    }

    #[test]
    fn what_the_provider_never_said_is_forged() {
        assert_eq!(
            counts("a 200\nforged-b 200\nundefined 200\nb 451\nc 0\n"),
            [0, 0, 0, 0, 2]
        );
    }
}
