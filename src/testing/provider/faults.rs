//! What goes wrong, and how often.

/// What can go wrong with the callbacks of one event.
///
/// Some faults come *beside* the event's own attempts, and have no influence on these; some *happen
/// to* an attempt, and the next one is whole again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Beside: the identical request once more, up to a minute after the event was acknowledged.
    Duplicate,
    /// Beside: the identical request at the same moment as the first attempt, on a connection of
    /// its own.
    Concurrent,
    /// Beside: a request with a wrong token (or signature), just before the first attempt. It speaks of another
    /// task, `forged-` and the id, so that one that gets through is known by its name.
    WrongProof,
    /// Beside: a request with the right token whose body nobody can read.
    Malformed,
    /// To an attempt: the body comes in drips, for up to four fifths of the time that the provider
    /// waits for an answer.
    Slow,
    /// To an attempt: the connection is closed in the middle of the body.
    Cut,
    /// The first attempt comes up to a minute late, so that later events overtake it.
    Late,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Duplicate,
        Self::Concurrent,
        Self::WrongProof,
        Self::Malformed,
        Self::Slow,
        Self::Cut,
        Self::Late,
    ];
}

/// How often each [`Fault`] strikes: a share of all events, from 0 to 1.
///
/// ```
/// use tower_callback::testing::provider::{Fault, Faults};
///
/// let faults = Faults::none().with(Fault::Duplicate, 0.3).with(Fault::Cut, 0.05);
/// # let _ = faults;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    shares: [f64; Fault::ALL.len()],
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::all(0.0)
    }

    /// Each fault strikes this share of all events.
    pub fn all(share: f64) -> Self {
        Self {
            shares: [share; Fault::ALL.len()],
        }
    }

    /// Changes the share of one fault. What the others do under a seed stays the same.
    #[must_use]
    pub fn with(mut self, fault: Fault, share: f64) -> Self {
        self.shares[fault as usize] = share;
        self
    }

    /// The share of a fault.
    pub fn share(&self, fault: Fault) -> f64 {
        self.shares[fault as usize]
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}
