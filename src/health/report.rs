//! What a look comes to.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::store::{Counts, QueueKind};

/// Whether endpoints are ready, and what waits for them. Serialized, it is the answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Why not, in words without any secret. Empty when all is well.
    pub problems: Vec<String>,
    /// What the endpoints hold, as it was last counted. Empty where nobody can count.
    pub endpoints: Vec<EndpointReport>,
}

/// What an endpoint holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EndpointReport {
    /// Its name.
    #[serde(serialize_with = "name")]
    pub name: Arc<str>,
    /// Events that wait.
    pub pending: u64,
    /// Events in somebody's hands.
    pub leased: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Callbacks that nobody could read.
    pub quarantined: u64,
    /// For how long the oldest pending event has been due.
    #[serde(rename = "oldest_due_seconds", serialize_with = "seconds")]
    pub oldest_due: Option<Duration>,
}

impl Report {
    /// Whether callbacks that are received now will be stored and handled.
    pub fn is_ready(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Answer<'a> {
            status: &'a str,
            problems: &'a [String],
            endpoints: &'a [EndpointReport],
        }
        let answer = Answer {
            status: if self.is_ready() { "ready" } else { "unready" },
            problems: &self.problems,
            endpoints: &self.endpoints,
        };
        // Strings and integers only: serialization has nothing to fail on.
        serde_json::to_string(&answer).unwrap_or_default()
    }
}

impl EndpointReport {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            pending: 0,
            leased: 0,
            dead: 0,
            quarantined: 0,
            oldest_due: None,
        }
    }

    pub(super) fn add(&mut self, kind: QueueKind, counts: &Counts) {
        match kind {
            QueueKind::Events => {
                self.pending = counts.pending;
                self.leased = counts.leased;
                self.dead = counts.dead;
                self.oldest_due = counts.oldest_due;
            }
            QueueKind::Quarantine => self.quarantined = counts.pending,
            QueueKind::Tracked => {}
        }
    }
}

fn name<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

fn seconds<S: Serializer>(due: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    due.map(|due| due.as_secs()).serialize(serializer)
}
