//! What all plays came to.

use std::fmt;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) plays: usize,
    pub(crate) kills: usize,
    pub(crate) tasks: usize,
    /// Leases that expired while their process lived, because the machine stood still.
    pub(crate) expired: usize,
    /// Intents of which nobody knows how they went.
    pub(crate) dead: usize,
    pub(crate) calls: usize,
    pub(crate) called_back: usize,
    pub(crate) polled: usize,
    pub(crate) failed_first: usize,
    pub(crate) details: usize,
    /// Forged callbacks with the right proof.
    pub(crate) hints: usize,
    /// Forged callbacks with a wrong one.
    pub(crate) refused: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.plays += other.plays;
        self.kills += other.kills;
        self.tasks += other.tasks;
        self.expired += other.expired;
        self.dead += other.dead;
        self.calls += other.calls;
        self.called_back += other.called_back;
        self.polled += other.polled;
        self.failed_first += other.failed_first;
        self.details += other.details;
        self.hints += other.hints;
        self.refused += other.refused;
    }

    /// What should have come about in so many plays, and did not: a test that tries nothing proves nothing.
    pub(crate) fn unseen(&self, plays: u64, many: u64) -> Vec<String> {
        let mut seen = vec![("kill", self.kills), ("event by poll", self.polled)];
        if plays >= many {
            seen.extend([
                ("event by callback", self.called_back),
                ("forged callback", self.refused),
            ]);
        }
        let unseen = seen.into_iter().filter(|(_, count)| *count == 0);
        unseen
            .map(|(what, _)| format!("no {what} came about"))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in [
            ("plays to the end", self.plays),
            ("kills", self.kills),
            ("tasks", self.tasks),
            ("calls of the handler", self.calls),
            ("  by callback", self.called_back),
            ("  by poll", self.polled),
            ("  a failure before success", self.failed_first),
            ("  after an expired lease", self.expired),
            ("intents given up", self.dead),
            ("questions about tasks", self.details),
            ("forged with right proof", self.hints),
            ("forged and refused", self.refused),
        ] {
            writeln!(f, "{name:<28}{count:>8}")?;
        }
        Ok(())
    }
}
