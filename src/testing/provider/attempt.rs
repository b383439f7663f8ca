//! One request, and what came of it.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

/// One request, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Which of the provider's events it was sent for, counted from 0 in the order they were given.
    pub event: usize,
    /// The event's task.
    pub task_id: Arc<str>,
    /// The event's code.
    pub code: i64,
    /// What was sent.
    pub kind: Kind,
    /// When it was sent: from the provider's start, on its clock.
    pub at: Duration,
    /// How long it took, on the provider's clock.
    pub took: Duration,
    /// What came of it.
    pub answer: Answer,
}

impl Attempt {
    /// Whether it was answered with 200, the one answer that counts.
    pub fn is_received(&self) -> bool {
        self.answer == Answer::Status(StatusCode::OK)
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The first attempt.
    First,
    /// A later attempt, because the one before had failed.
    Retry,
    /// An attempt, first or later, whose body came in drips.
    Slow,
    /// An attempt, first or later, whose connection was closed in the middle of the body.
    Cut,
    /// The identical request again, after the event was acknowledged.
    Duplicate,
    /// The identical request, at the same moment as the first attempt.
    Concurrent,
    /// A forged request with a wrong proof.
    WrongProof,
    /// A request with the right proof, and a body that nobody can read.
    Malformed,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::First,
        Self::Retry,
        Self::Slow,
        Self::Cut,
        Self::Duplicate,
        Self::Concurrent,
        Self::WrongProof,
        Self::Malformed,
    ];

    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Slow => "slow",
            Self::Cut => "cut",
            Self::Duplicate => "duplicate",
            Self::Concurrent => "concurrent",
            Self::WrongProof => "wrong proof",
            Self::Malformed => "malformed",
        }
    }

    /// Whether it brings the event: right proof, right body. A 200 for it acknowledges the event.
    pub fn is_genuine(self) -> bool {
        self.is_scheduled() || matches!(self, Self::Duplicate | Self::Concurrent)
    }

    /// Whether it is one of the provider's attempts, so that its failure brings the next one.
    pub(super) fn is_scheduled(self) -> bool {
        matches!(self, Self::First | Self::Retry | Self::Slow | Self::Cut)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// An answer with this status. Only 200 counts as received.
    Status(StatusCode),
    /// Nobody accepted the connection.
    NoConnection,
    /// The connection ended before there was an answer.
    Broken,
    /// There was no answer in time.
    TimedOut,
    /// We closed the connection ourselves, as a [cut](Kind::Cut) does.
    CutOff,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Status(status) => status.as_str(),
            Self::NoConnection => "no connection",
            Self::Broken => "broken",
            Self::TimedOut => "timed out",
            Self::CutOff => "cut off",
        })
    }
}

/// `   1:00.012  taskId_774b9aa0422f0001   451  retry        200`
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {:<23}  {:>4}  {:<11}  {}",
            Offset(self.at),
            self.task_id,
            self.code,
            self.kind,
            self.answer,
        )
    }
}

/// Minutes, seconds, milliseconds.
pub(super) struct Offset(pub(super) Duration);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let millis = self.0.subsec_millis();
        write!(f, "{:>3}:{:02}.{millis:03}", seconds / 60, seconds % 60)
    }
}
