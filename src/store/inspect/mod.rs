//! Looking in: what operators ask a store, and what they tell it.
//!
//! A service that runs well needs none of this. It is for the day on which a handler gave up on events
//! that it could have handled, or on which a provider sent what nobody could read. Four questions, and
//! what to do about the answers:
//!
//! | question | answer | what to do |
//! | --- | --- | --- |
//! | Is anything stuck? | [`counts`](Inspect::counts): [`oldest_due`](Counts::oldest_due) grows | see that a worker runs, and what it logs |
//! | What was given up, and why? | [`list`](Inspect::list) what is [`Dead`](super::State::Dead); [`look`](Inspect::look) at one: its body and its last errors | mend the handler, then [`requeue`](Inspect::requeue) |
//! | What could nobody read? | the same on [`Queue::quarantine`] | mend the event's `parse`, then [`release`] |
//! | Was it handled at all? | [`Store::find`] by its key | [`requeue`](Inspect::requeue) handles it again, while its body is kept |
//!
//! Every store that ships with the crate can be asked, also from another process than the one that
//! handles. Bodies are in what is looked at: show them to people who may see them.
//!
//! ```
//! use tower_callback::{
//!     MusicVideo,
//!     store::{Queue, State, inspect::{self, Inspect, Listing, Requeued}},
//! };
//!
//! /// Hands all dead letters to the handler again, after it was mended.
//! async fn requeue_all(store: &impl Inspect) -> Result<usize, Box<dyn std::error::Error>> {
//!     let events = Queue::events("music-video");
//!     let mut requeued = 0;
//!     let mut listing = Listing::of(State::Dead);
//!     loop {
//!         let page = store.list(&events, &listing).await?;
//!         for letter in &page.records {
//!             println!("{:?} failed {} times: {:?}", letter.key, letter.attempts, letter.error);
//!         }
//!         let ids: Vec<_> = page.records.iter().map(|letter| letter.id).collect();
//!         let answers = store.requeue(&events, &ids).await?;
//!         requeued += answers.iter().filter(|answer| **answer == Requeued::Applied).count();
//!         match page.next {
//!             Some(cursor) => listing = listing.after(cursor),
//!             None => return Ok(requeued),
//!         }
//!     }
//! }
//!
//! /// Hands to the handler what this release of the service can read.
//! async fn release_all(store: &impl Inspect) -> Result<(), Box<dyn std::error::Error>> {
//!     let quarantine = Queue::quarantine("music-video");
//!     let mut listing = Listing::all();
//!     loop {
//!         let page = store.list(&quarantine, &listing).await?;
//!         for unread in &page.records {
//!             match inspect::release::<MusicVideo>(store, &quarantine, unread.id).await {
//!                 Ok(released) => println!("{}: {released:?}", unread.id),
//!                 Err(error) => println!("{} stays: {error}", unread.id),
//!             }
//!         }
//!         match page.next {
//!             Some(cursor) => listing = listing.after(cursor),
//!             None => return Ok(()),
//!         }
//!     }
//! }
//! # use tower_callback::store::{Action, Inbox, MemoryStore, NewRecord, Settlement, Store};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryStore::new();
//! # let body = MusicVideo::succeeded("task-1", "https://example.com/1.mp4").encode();
//! # let meta = r#"{"arrived":1735661400000,"reason":"not this event"}"#;
//! # let unread = NewRecord::new(Queue::quarantine("music-video"), "digest", body.clone()).with_meta(meta);
//! # let event = NewRecord::new(Queue::events("music-video"), "task-0", body);
//! # store.insert(&[event, unread]).await?;
//! # let ttl = std::time::Duration::from_secs(60);
//! # for leased in store.lease(&Queue::events("music-video"), 1, ttl).await? {
//! #     let reason = "the disk was full".to_owned();
//! #     store.settle(&[Settlement::new(leased.lease, Action::Dead { reason })]).await?;
//! # }
//! # assert_eq!(requeue_all(&store).await?, 1);
//! # release_all(&store).await?;
//! # let counts = store.counts(&Queue::events("music-video")).await?;
//! # assert_eq!((counts.pending, counts.dead), (2, 0));
//! # assert_eq!(store.counts(&Queue::quarantine("music-video")).await?.pending, 0);
//! # Ok(())
//! # }
//! ```

mod counts;
mod listing;
mod outcome;
mod record;
mod release;

pub use self::{
    counts::Counts,
    listing::{Cursor, InvalidCursor, Listing, Page},
    outcome::{Deleted, Requeued},
    record::{FailedAttempt, Record, Summary},
    release::{ReleaseError, ReleaseErrorKind, Released, release},
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
