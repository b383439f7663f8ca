//! Looking in: what operators ask a store, and what they tell it.

mod counts;
mod listing;
mod outcome;
mod record;

pub use self::{
    counts::Counts,
    listing::{Cursor, InvalidCursor, Listing, Page},
    outcome::{Deleted, Requeued},
    record::{FailedAttempt, Record, Summary},
};

use super::{Queue, RecordId, Store, StoreError};

/// The tier that an operator needs. See the [module](self) for how to use it.
///
/// # Contract
///
/// All of [`Store`], and:
///
/// - **What is told** agrees with what [`lease`](Store::lease), [`settle`](Store::settle) and
///   [`find`](Store::find) answered. A record whose lease has expired is pending, and the expiry is
///   counted. Only durations cross the border.
/// - **list** goes through what is alive in the order in which it is due (quarantine: in the order
///   of arrival), then through what is dead and then what is done, the latest settlement first.
///   A record that stays as it is while the pages are read is told exactly once, whatever is
///   inserted, settled and purged meanwhile; one that changes may be told twice or not at all. A
///   page may be short, so that a store never looks at more than some thousand records at once; a
///   cursor that the store did not give is [rejected](super::StoreErrorKind::Rejected).
/// - **look** may have to go through the whole queue: it is for people, not for every request.
/// - **requeue** makes due what is dead, and what is done while its body is kept: attempts,
///   expiries and age start again, and every token from before is [stale](super::Settled::Stale).
///   Nothing else is changed. A requeue is no new record, and finds its place in a full store too.
/// - **delete** removes a record in any state but leased, and frees its key. A lease that had
///   expired without being taken is lost with it.
/// - **Per item, in order**, as if one were done after the other; durable when it is answered. Ids
///   of other queues are unknown. What was done before a call failed stays done.
///
/// Operators and workers may be at work at the same time.
pub trait Inspect: Store {
    /// How many records a queue has, by state, and since when the oldest is due.
    ///
    /// # Errors
    ///
    /// When the store is unavailable.
    fn counts(&self, queue: &Queue) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Every queue that holds a record, sorted by endpoint and kind. One that holds none any more may be
    /// told too.
    ///
    /// # Errors
    ///
    /// When the store is unavailable.
    fn queues(&self) -> impl Future<Output = Result<Vec<Queue>, StoreError>> + Send;

    /// A page of a queue's records.
    ///
    /// # Errors
    ///
    /// When the store is unavailable, or the cursor is not one of its own.
    fn list(
        &self,
        queue: &Queue,
        listing: &Listing,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Everything that is known of one record.
    ///
    /// # Errors
    ///
    /// When the store is unavailable.
    fn look(
        &self,
        queue: &Queue,
        id: RecordId,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Hands records to the handler again, now.
    ///
    /// # Errors
    ///
    /// When the store is unavailable. Any of the records may have been requeued; it can be repeated.
    fn requeue(
        &self,
        queue: &Queue,
        ids: &[RecordId],
    ) -> impl Future<Output = Result<Vec<Requeued>, StoreError>> + Send;

    /// Forgets records.
    ///
    /// # Errors
    ///
    /// When the store is unavailable. Any of the records may have been deleted; it can be repeated.
    fn delete(
        &self,
        queue: &Queue,
        ids: &[RecordId],
    ) -> impl Future<Output = Result<Vec<Deleted>, StoreError>> + Send;
}
