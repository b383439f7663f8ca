//! How many records there are.

use std::time::Duration;

/// How many records a queue has, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Waiting, due now or later. Also a record whose lease has expired.
    pub pending: u64,
    /// In somebody's hands.
    pub leased: u64,
    /// Handled, and still remembered.
    pub done: u64,
    /// Given up.
    pub dead: u64,
    /// Dropped from quarantine because it was full, since the store was opened.
    pub dropped: u64,
    /// For how long the pending record that fell due first has been due by now; in quarantine, for
    /// how long its oldest record has been there. `None` where nothing is due. What grows and
    /// grows here is not handled by anybody.
    pub oldest_due: Option<Duration>,
}
