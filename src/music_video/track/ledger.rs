//! The two queues of an endpoint, as tracking reads and writes them.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use http::HeaderMap;

use super::records::{Tracked, correlation_key};
use crate::{
    Clock,
    event::{Callback, Event, EventKey, Meta, Rank, Source, TraceContext},
    music_video::MusicVideo,
    panic::catch_future,
    store::{
        AnyInbox, AnyStore, Committer, Found, Inserted, NewRecord, Queue, Store, StoreError,
        StoreErrorKind,
    },
};

/// How long one call of the store may take: as long as a front lets it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Ledger {
    pub(super) events: Queue,
    pub(super) tracked: Queue,
    pub(super) store: AnyStore,
    pub(super) clock: Clock,
    committer: Committer,
}

impl Ledger {
    pub(super) fn new(endpoint: Arc<str>, store: AnyStore, clock: Clock) -> Self {
        Self {
            events: Queue::events(Arc::clone(&endpoint)),
            tracked: Queue::tracked(Arc::clone(&endpoint)),
            committer: Committer::new(endpoint, AnyInbox::new(store.clone()), clock.clone()),
            store,
            clock,
        }
    }

    pub(super) fn endpoint(&self) -> &str {
        self.events.endpoint()
    }

    pub(super) async fn find_event(&self, task_id: &str) -> Result<Option<Found>, StoreError> {
        self.find(&self.events, task_id.as_bytes()).await
    }

    pub(super) async fn find_submission(
        &self,
        correlation: &str,
    ) -> Result<Option<Found>, StoreError> {
        self.find(&self.tracked, &correlation_key(correlation))
            .await
    }

    /// The correlation id, unless what stands under it is of another task.
    pub(super) async fn unless_of_another(
        &self,
        correlation: Option<String>,
        task_id: &str,
    ) -> Result<Option<String>, StoreError> {
        let Some(correlation) = correlation else {
            return Ok(None);
        };
        let Some(found) = self.find_submission(&correlation).await? else {
            return Ok(Some(correlation));
        };
        let key = correlation_key(&correlation);
        // An event whose body is kept no longer may be of any task.
        let body = found.body.unwrap_or_default();
        let own = match Tracked::read(&key, found.rank, &body) {
            Some(Tracked::Submitted { task_id: known, .. }) => known == task_id,
            Some(Tracked::Ended) => is_event_of(&body, task_id),
            _ => true,
        };
        Ok(own.then_some(correlation))
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        let find = catch_future(self.store.find(queue, key));
        match self.clock.timeout(PATIENCE, find).await {
            Some(Ok(found)) => found,
            Some(Err(panicked)) => Err(StoreError::unavailable(panicked)),
            None => Err(StoreError::unavailable("the store did not answer in time")),
        }
    }

    pub(super) async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        self.committer.insert(record, || PATIENCE).await
    }

    /// Inserts a record that must not get lost on the way: again and again, for so long. It is one
    /// and the same insert, whichever of them arrives.
    pub(super) async fn insert_within(
        &self,
        record: NewRecord,
        patience: Duration,
    ) -> Result<Inserted, StoreError> {
        let begun = self.clock.stopwatch();
        let mut pause = Duration::from_millis(50);
        loop {
            let failed = match self.insert(record.clone()).await {
                Ok(Inserted::Busy) => StoreError::unavailable("somebody holds the record"),
                Ok(inserted) => return Ok(inserted),
                Err(error) if error.kind() == StoreErrorKind::Rejected => return Err(error),
                Err(error) => error,
            };
            if self.clock.elapsed(&begun) + pause > patience {
                return Err(failed);
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// A record of the tracked queue that is no event yet, due now: when it is really looked at is
    /// for the poller's settings to say.
    pub(super) fn tracking(
        &self,
        key: bytes::Bytes,
        rank: Rank,
        body: bytes::Bytes,
        correlation: Option<&str>,
        submission: Option<TraceContext>,
    ) -> NewRecord {
        let mut meta = Meta::new(self.clock.now(), &HeaderMap::new()).with_submission(submission);
        meta.correlation = correlation.map(str::to_owned);
        NewRecord::new(self.tracked.clone(), key, body)
            .with_rank(rank)
            .with_meta(meta.encode())
    }

    /// The record of an event that the provider told when it was asked because of what `asked` is about.
    pub(super) fn told(&self, event: &MusicVideo, key: EventKey, asked: &Meta) -> NewRecord {
        let mut meta = Meta::new(self.clock.now(), &HeaderMap::new())
            .with_trace(asked.trace_context())
            .with_submission(asked.submission_trace_context());
        meta.source = Source::Poll;
        meta.correlation.clone_from(&asked.correlation);
        meta.labels.clone_from(&asked.labels);
        let (key, rank) = key.into_parts();
        NewRecord::new(self.events.clone(), key, event.encode())
            .with_rank(rank)
            .with_meta(meta.encode())
    }
}

/// Where a submission stands in its trace, by the meta of its record.
pub(super) fn submission_of(meta: &[u8]) -> Option<TraceContext> {
    Meta::decode(meta).ok()?.submission_trace_context()
}

/// The meta of an event, as it is noted with the submission: where that stands in its trace must stay.
pub(super) fn noted_meta(event: bytes::Bytes, submission: Option<&TraceContext>) -> bytes::Bytes {
    match (submission, Meta::decode(&event)) {
        (Some(submission), Ok(meta)) => meta.with_submission(Some(submission.clone())).encode(),
        _ => event,
    }
}

/// Whether it is an event, and of this task.
pub(super) fn is_event_of(body: &[u8], task_id: &str) -> bool {
    let headers = HeaderMap::new();
    MusicVideo::parse(&Callback::new(body, UNIX_EPOCH, &headers))
        .is_ok_and(|event| event.task_id == task_id)
}
