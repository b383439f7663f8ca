//! What was sent and what was answered.

use std::{fmt, sync::Arc};

use super::{Answer, Attempt, Kind, attempt::Offset, plan::Plan};

/// What was sent for every event, and what was answered.
///
/// `Display` writes one line for each event, and the totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    events: Vec<EventReport>,
}

/// What was sent for one event, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventReport {
    /// The task.
    pub task_id: Arc<str>,
    /// The code.
    pub code: i64,
    /// Whether a genuine request was answered with 200. If not, the provider has given up.
    pub acknowledged: bool,
    /// What was sent, in the order of the answers.
    pub attempts: Vec<Attempt>,
}

/// A report in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Events to call about.
    pub events: usize,
    /// Events of which a genuine request was answered with 200.
    pub acknowledged: usize,
    /// Events that the provider gave up.
    pub given_up: usize,
    /// Requests of all kinds.
    pub requests: usize,
    /// Requests that were answered with 200.
    pub received: usize,
    /// Requests that were answered with another status.
    pub refused: usize,
    /// Requests that were not answered.
    pub unanswered: usize,
    /// Forged and malformed requests that were answered with 200. They should not have been.
    pub deceived: usize,
}

impl Report {
    pub(super) fn new(plans: &[Plan]) -> Self {
        let event = |plan: &Plan| EventReport {
            task_id: Arc::clone(&plan.task_id),
            code: plan.code,
            acknowledged: false,
            attempts: Vec::new(),
        };
        Self {
            events: plans.iter().map(event).collect(),
        }
    }

    /// Notes an attempt, and says whether it is the one that acknowledged its event.
    pub(super) fn note(&mut self, attempt: Attempt) -> bool {
        let event = &mut self.events[attempt.event];
        let received = attempt.kind.is_genuine() && attempt.is_received();
        let acknowledges = received && !event.acknowledged;
        event.acknowledged |= received;
        event.attempts.push(attempt);
        acknowledges
    }

    /// The events, in the order in which they were given.
    pub fn events(&self) -> &[EventReport] {
        &self.events
    }

    /// All requests, in the order in which they were sent.
    pub fn attempts(&self) -> Vec<&Attempt> {
        let mut attempts: Vec<_> = self.iter().collect();
        attempts.sort_by_key(|attempt| attempt.at);
        attempts
    }

    /// How many requests of this kind were sent.
    pub fn sent(&self, kind: Kind) -> usize {
        self.iter().filter(|attempt| attempt.kind == kind).count()
    }

    /// The numbers.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            events: self.events.len(),
            ..Totals::default()
        };
        for event in &self.events {
            totals.acknowledged += usize::from(event.acknowledged);
            totals.given_up += usize::from(!event.acknowledged);
        }
        for attempt in self.iter() {
            totals.requests += 1;
            match attempt.answer {
                Answer::Status(_) if attempt.is_received() => {
                    totals.received += 1;
                    totals.deceived += usize::from(!attempt.kind.is_genuine());
                }
                Answer::Status(_) => totals.refused += 1,
                Answer::NoConnection | Answer::Broken | Answer::TimedOut | Answer::CutOff => {
                    totals.unanswered += 1;
                }
            }
        }
        totals
    }

    fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.events.iter().flat_map(|event| &event.attempts)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        self.totals().fmt(f)?;
        for &kind in Kind::ALL {
            match self.sent(kind) {
                0 => {}
                sent => write!(f, "\n{:<13}{sent:>8}", kind.as_str())?,
            }
        }
        Ok(())
    }
}

/// `taskId_774b9aa0422f0001   451  acknowledged  0:00.000 first 503, 1:00.012 retry 200`
impl fmt::Display for EventReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.acknowledged {
            "acknowledged"
        } else {
            "given up"
        };
        write!(f, "{:<23}  {:>4}  {outcome:<12}", self.task_id, self.code)?;
        for (index, attempt) in self.attempts.iter().enumerate() {
            let comma = if index == 0 { " " } else { "," };
            let Attempt {
                at, kind, answer, ..
            } = attempt;
            write!(f, "{comma} {} {kind} {answer}", Offset(*at))?;
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("events", self.events),
            ("acknowledged", self.acknowledged),
            ("given up", self.given_up),
            ("requests", self.requests),
            ("received", self.received),
            ("refused", self.refused),
            ("unanswered", self.unanswered),
            ("deceived", self.deceived),
        ];
        for (index, (name, number)) in lines.into_iter().enumerate() {
            let feed = if index == 0 { "" } else { "\n" };
            write!(f, "{feed}{name:<13}{number:>8}")?;
        }
        Ok(())
    }
}
