//! From quarantine to the events, once the event can be read.

use std::{error::Error as StdError, fmt, slice};

use bytes::Bytes;

use super::Inspect;
use crate::{
    BoxError,
    event::{Callback, Event, Meta, listed_headers},
    store::{Inserted, NewRecord, Queue, QueueKind, RecordId, StoreError},
};

/// What a quarantined callback became.
///
/// In all cases it is out of quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// A new event, which is due now. Where callbacks are confirmed, a hint: the provider is asked next.
    Stored,
    /// An event that was known with a lower rank, and is due now.
    Upgraded,
    /// Nothing: the event was known, from a later callback or from a release that was cut off.
    Repeated,
}

/// Reads a quarantined callback as the caller's `E`, and hands it to the endpoint's handler: what to do
/// when a release of your service can read what the one before could not.
///
/// It goes where the callback itself would have gone: under its own key and rank, with the time at
/// which it arrived, its correlation id, and what was kept of its headers. It is inserted first and then
/// deleted from quarantine, so that nothing is lost in between; cut off there, it is released again, and
/// is a repeat. A worker handles it with its next look at the store.
///
/// If the endpoint took callbacks as hints alone when it came (`Callbacks::confirm_with`), it is released as a
/// hint: the provider is asked, and its answer is the event.
///
/// # Errors
///
/// See [`ReleaseErrorKind`]. The callback stays in quarantine.
///
/// # Panics
///
/// When `E` panics while it reads.
///
/// # Security
///
/// Where the proof had signed an id, an event with another [subject](Event::subject) is not
/// released, as the front would have refused it.
pub async fn release<E: Event>(
    store: &impl Inspect,
    quarantine: &Queue,
    id: RecordId,
) -> Result<Released, ReleaseError> {
    if quarantine.kind() != QueueKind::Quarantine {
        return Err(ReleaseError::new(ReleaseErrorKind::NotQuarantine));
    }
    let record = store.look(quarantine, id).await?;
    let payload = record.and_then(|record| record.body.zip(record.meta));
    let Some((body, meta)) = payload else {
        return Err(ReleaseError::new(ReleaseErrorKind::Unknown));
    };
    let record = read::<E>(quarantine.endpoint(), body, &meta)?;
    let inserted = store.insert(slice::from_ref(&record)).await?;
    let released = match inserted.first() {
        Some(Inserted::Fresh) => Released::Stored,
        Some(Inserted::Upgraded) => Released::Upgraded,
        Some(Inserted::Duplicate { .. }) => Released::Repeated,
        Some(Inserted::Full) => return Err(ReleaseError::new(ReleaseErrorKind::Full)),
        Some(Inserted::Busy) | None => return Err(ReleaseError::new(ReleaseErrorKind::Busy)),
    };
    // Whoever released it at the same time has deleted it too.
    store.delete(quarantine, slice::from_ref(&id)).await?;
    Ok(released)
}

/// The record that the callback would have become.
fn read<E: Event>(endpoint: &str, body: Bytes, meta: &[u8]) -> Result<NewRecord, ReleaseError> {
    let unreadable = |error: BoxError| ReleaseError {
        kind: ReleaseErrorKind::Unreadable,
        source: Some(error),
    };
    let meta = Meta::decode(meta).map_err(|error| unreadable(error.into()))?;
    let headers = listed_headers(&meta.headers(), E::HEADERS);
    let event = E::parse(&Callback::new(&body, meta.arrived(), &headers))
        .map_err(|error| unreadable(error.into()))?;
    if !meta.is_about(event.subject()) {
        return Err(ReleaseError::new(ReleaseErrorKind::Subject));
    }
    let key = event.key().map_err(|error| unreadable(error.into()))?;
    let (queue, (key, rank)) = match meta.hint() {
        Some(hint) => (Queue::tracked(endpoint), key.into_hint(hint)),
        None => (Queue::events(endpoint), key.into_parts()),
    };
    let meta = meta.out_of_quarantine(&headers);
    Ok(NewRecord::new(queue, key, body)
        .with_rank(rank)
        .with_meta(meta.encode()))
}

/// Why a callback stays in quarantine.
#[derive(Debug)]
pub struct ReleaseError {
    kind: ReleaseErrorKind,
    source: Option<BoxError>,
}

/// Why a callback stays in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseErrorKind {
    /// The queue is no quarantine.
    NotQuarantine,
    /// It has no such record.
    Unknown,
    /// It still cannot be read; the source says why.
    Unreadable,
    /// The event is about another subject than the one that the proof had signed.
    Subject,
    /// There is no room for a new event.
    Full,
    /// Somebody's open transaction holds the event that it would replace: try again.
    Busy,
    /// The store failed; the source says how. It may be released by now: to try again is safe.
    Store,
}

impl ReleaseError {
    fn new(kind: ReleaseErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Why.
    pub fn kind(&self) -> ReleaseErrorKind {
        self.kind
    }
}

impl From<StoreError> for ReleaseError {
    fn from(error: StoreError) -> Self {
        Self {
            kind: ReleaseErrorKind::Store,
            source: Some(error.into()),
        }
    }
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ReleaseErrorKind::NotQuarantine => "the queue is no quarantine",
            ReleaseErrorKind::Unknown => "there is no such record in quarantine",
            ReleaseErrorKind::Unreadable => "the callback still cannot be read",
            ReleaseErrorKind::Subject => "the event is not about the subject that was signed",
            ReleaseErrorKind::Full => "the store has no room for a new event",
            ReleaseErrorKind::Busy => "the event that it would replace is held by a transaction",
            ReleaseErrorKind::Store => "the store failed while a callback was released",
        })
    }
}

impl StdError for ReleaseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MusicVideo,
        store::{Inbox, MemoryStore, Store},
        testing::{Fault, Recording},
    };

    const META: &str = r#"{"arrived":1735661400000,"reason":"not this event"}"#;

    /// What is in quarantine, and whether the event is stored.
    async fn kept(store: &Recording<MemoryStore>) -> (u64, bool) {
        let counts = store.counts(&Queue::quarantine("videos")).await.unwrap();
        let event = store.find(&Queue::events("videos"), b"task-1").await;
        (counts.pending, event.unwrap().is_some())
    }

    #[tokio::test]
    async fn what_cannot_be_inserted_stays_in_quarantine_and_is_released_again() {
        let store = Recording::new(MemoryStore::new().with_capacity(1));
        let quarantine = Queue::quarantine("videos");
        let body = MusicVideo::succeeded("task-1", "https://example.com/1.mp4").encode();
        let unread = NewRecord::new(quarantine.clone(), "digest", body).with_meta(META);
        store.insert(slice::from_ref(&unread)).await.unwrap();
        for (fault, kind) in [
            (Fault::Unavailable, ReleaseErrorKind::Store),
            (Fault::Full, ReleaseErrorKind::Full),
            (Fault::Busy, ReleaseErrorKind::Busy),
        ] {
            store.fail_next(1, fault);
            let error = release::<MusicVideo>(&store, &quarantine, unread.id).await;
            assert_eq!(error.unwrap_err().kind(), kind);
            assert_eq!(kept(&store).await, (1, false), "{fault:?}");
        }
        store.fail_next(1, Fault::LostAnswer);
        let error = release::<MusicVideo>(&store, &quarantine, unread.id).await;
        assert_eq!(error.unwrap_err().kind(), ReleaseErrorKind::Store);
        assert_eq!(
            kept(&store).await,
            (1, true),
            "inserted, and not yet deleted"
        );
        let released = release::<MusicVideo>(&store, &quarantine, unread.id).await;
        assert_eq!(released.unwrap(), Released::Repeated);
        assert_eq!(kept(&store).await, (0, true));
    }
}
