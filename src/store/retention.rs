//! How long a store keeps what is settled.

use std::time::Duration;

/// How long what is settled is kept, counted from settlement. Nothing pending is ever purged.
///
/// It belongs to the store, not to an endpoint: a purge goes through everything that the store has.
/// The endpoints of one [`Worker`](crate::worker::Worker::with) purge with the longest of their
/// retentions. Several workers or processes that share a store know nothing of each other, and the
/// shortest of theirs counts: give all of them the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Bodies and meta of what is done: 7 days by default, enough to look into last week's complaint.
    pub bodies: Duration,
    /// Hashed keys of what is done: 90 days by default. A repeat that comes later is a new event, so
    /// this outlasts by far the days over which providers retry, and a quarter is also how long
    /// somebody may take to send old callbacks again by hand. A key costs few bytes.
    pub keys: Duration,
    /// Dead letters: 30 days by default, enough for somebody to come back from holidays.
    pub dead: Duration,
    /// What could not be read, counted from its arrival: 30 days by default, as for dead letters,
    /// since somebody has to look at it, and may have to release a parser that can read it.
    pub quarantine: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Retention {
    fn default() -> Self {
        Self {
            bodies: DAY * 7,
            keys: DAY * 90,
            dead: DAY * 30,
            quarantine: DAY * 30,
        }
    }
}

impl Retention {
    /// Keeps bodies for this long.
    #[must_use]
    pub fn with_bodies(mut self, bodies: Duration) -> Self {
        self.bodies = bodies;
        self
    }

    /// Remembers keys for this long.
    #[must_use]
    pub fn with_keys(mut self, keys: Duration) -> Self {
        self.keys = keys;
        self
    }

    /// Keeps dead letters for this long.
    #[must_use]
    pub fn with_dead(mut self, dead: Duration) -> Self {
        self.dead = dead;
        self
    }

    /// Keeps what could not be read for this long.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Duration) -> Self {
        self.quarantine = quarantine;
        self
    }

    /// The longer of both, of each kind.
    pub(crate) fn longest(self, other: Self) -> Self {
        Self {
            bodies: self.bodies.max(other.bodies),
            keys: self.keys.max(other.keys),
            dead: self.dead.max(other.dead),
            quarantine: self.quarantine.max(other.quarantine),
        }
    }

    pub(crate) fn map(self, f: impl Fn(Duration) -> Duration) -> Self {
        Self {
            bodies: f(self.bodies),
            keys: f(self.keys),
            dead: f(self.dead),
            quarantine: f(self.quarantine),
        }
    }
}

/// What one step of a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many records lost their body, or were forgotten.
    pub records: u64,
    /// Whether there is more to do now.
    pub more: bool,
}

impl Purged {
    /// The outcome of a step.
    pub fn new(records: u64, more: bool) -> Self {
        Self { records, more }
    }
}
