//! What became of what an operator asked for, record by record.

/// What became of a requeue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requeued {
    /// The record is pending again, and due.
    Applied,
    /// It is pending already, or in quarantine. Nothing was changed.
    Pending,
    /// It is in somebody's hands. Nothing was changed.
    Leased,
    /// It is done, and its body is not kept any more: there is nothing to handle.
    Gone,
    /// The queue has no such record.
    Unknown,
    /// It could not be decided now, because somebody's open transaction holds the record.
    Busy,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deleted {
    /// The record is gone, and its key is free.
    Applied,
    /// It is in somebody's hands. Nothing was changed.
    Leased,
    /// The queue has no such record.
    Unknown,
    /// It could not be decided now, because somebody's open transaction holds the record.
    Busy,
}
