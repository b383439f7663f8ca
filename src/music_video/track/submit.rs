//! One submission, step by step: intent, submit, answer.

use std::{sync::Arc, time::Duration};

use super::{
    Submission, SubmitError,
    ledger::is_event_of,
    records::{self, ANSWERED, ENDED, Tracked, correlation_key},
    submitter::Inner,
    tracker::track,
};
use crate::{
    error::chain,
    event::TraceContext,
    music_video::{ClientError, GenerateRequest, Generated},
    store::{Found, Inserted, NewRecord, StoreError},
};

/// How long the store may fail before anything was submitted. Somebody waits, and loses nothing.
const BEFORE: Duration = Duration::from_secs(10);
/// How long it may fail after that. What is lost then, only the callback can bring back.
const AFTER: Duration = Duration::from_secs(5 * 60);
/// How long a refused submission may keep its id: the poller needs a moment to free it.
const FREEING: Duration = Duration::from_secs(10);

pub(super) struct Attempt {
    pub(super) inner: Arc<Inner>,
    pub(super) request: GenerateRequest,
    pub(super) correlation: String,
    pub(super) url: String,
    pub(super) trace: Option<TraceContext>,
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Submission, SubmitError> {
        let ledger = &self.inner.ledger;
        let begun = ledger.clock.stopwatch();
        let mut pause = Duration::from_millis(50);
        let body = self.request.encode();
        let unanswered = &self.inner.unanswered;
        // What stands in the store may be the intent of a call before, which was not told so.
        let mut own = unanswered.take(&self.correlation, |intent| intent.body == body);
        loop {
            let intent = (own.pop()).unwrap_or_else(|| self.record(0, body.clone()));
            let failed = match ledger.insert_within(intent.clone(), BEFORE).await {
                // The id is ours, and nobody else's, from here on.
                Ok(Inserted::Fresh | Inserted::Upgraded) => return self.send().await,
                Ok(Inserted::Duplicate { .. }) => None,
                Ok(Inserted::Full | Inserted::Busy) => {
                    Some(StoreError::unavailable("the store is full"))
                }
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                own.push(intent);
                for intent in own {
                    unanswered.put(&self.correlation, intent);
                }
                return Err(SubmitError::store(error));
            }
            if !own.is_empty() {
                continue;
            }
            let found = ledger.find_submission(&self.correlation).await;
            if let Some(there) = found.map_err(SubmitError::store)?.map(|f| self.there(f)) {
                match there? {
                    Some(submission) => return Ok(submission),
                    None if ledger.clock.elapsed(&begun) > FREEING => {
                        return Err(SubmitError::occupied());
                    }
                    None => {}
                }
            }
            ledger.clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// The submission that has the id. None, if it was refused, and the id becomes free.
    fn there(&self, found: Found) -> Result<Option<Submission>, SubmitError> {
        let key = correlation_key(&self.correlation);
        let body = found.body.unwrap_or_default();
        let same = |other: &GenerateRequest| *other == self.request;
        match Tracked::read(&key, found.rank, &body) {
            Some(Tracked::Refused) => Ok(None),
            Some(Tracked::Intent { request, .. }) if !same(&request) => Err(SubmitError::another()),
            Some(Tracked::Submitted {
                task_id, request, ..
            }) => match request {
                Some(request) if !same(&request) => Err(SubmitError::another()),
                _ => Ok(Some(self.submission(Some(&task_id)))),
            },
            _ => Ok(Some(self.submission(None))),
        }
    }

    async fn send(&self) -> Result<Submission, SubmitError> {
        match self.generate().await {
            Ok(generated) => self.answered(&generated).await,
            Err(error) if error.may_have_been_submitted() => Err(SubmitError::unknown(error)),
            Err(error) => {
                // The words of the provider stay in the error: they may quote the callback URL.
                let body = records::refused(&self.request, &chain(&error));
                let record = self.record(ANSWERED, body);
                if let Err(failed) = self.inner.ledger.insert_within(record, AFTER).await {
                    tracing::error!(
                        endpoint = self.inner.ledger.endpoint(),
                        correlation = self.correlation,
                        error = chain(&failed),
                        "a refused submission could not be noted: its id stays taken",
                    );
                }
                Err(SubmitError::refused(error))
            }
        }
    }

    /// The same request once more, though it may have been submitted. That it is refused now says
    /// nothing of the time before.
    pub(super) async fn run_again(self) -> Result<(), SubmitError> {
        let generated = self.generate().await.map_err(SubmitError::unknown)?;
        self.answered(&generated).await.map(drop)
    }

    async fn generate(&self) -> Result<Generated, ClientError> {
        self.inner.client.generate(&self.request, &self.url).await
    }

    async fn answered(&self, generated: &Generated) -> Result<Submission, SubmitError> {
        let task_id = &generated.task_id;
        let record = self.record(ANSWERED, records::submitted(&self.request, task_id));
        match self.inner.ledger.insert_within(record.clone(), AFTER).await {
            // The event was faster than the answer.
            Ok(Inserted::Duplicate { .. }) => {
                self.not_noted(task_id).await;
                Ok(self.submission(Some(task_id)))
            }
            Ok(_) => Ok(self.submission(Some(task_id))),
            Err(error) => {
                self.inner.unrecorded.put(task_id, record);
                Err(SubmitError::unrecorded(task_id, error))
            }
        }
    }

    /// Sees to it that the task is asked for where the event under its id is not its own: somebody was
    /// fast, and has captured the URL.
    async fn not_noted(&self, task_id: &str) {
        let ledger = &self.inner.ledger;
        let Ok(Some(found)) = ledger.find_submission(&self.correlation).await else {
            return;
        };
        let body = found.body.unwrap_or_default();
        if found.rank < ENDED || is_event_of(&body, task_id) {
            return;
        }
        tracing::warn!(
            endpoint = ledger.endpoint(),
            correlation = self.correlation,
            "an event came under the correlation id of another task: the task is tracked by its own",
        );
        if let Err(error) = track(ledger, task_id).await {
            tracing::error!(
                endpoint = ledger.endpoint(),
                task = task_id,
                error = chain(&error),
                "a task could not be tracked: it waits for its callback alone",
            );
        }
    }

    fn record(&self, rank: u16, body: bytes::Bytes) -> NewRecord {
        let key = correlation_key(&self.correlation);
        let ledger = &self.inner.ledger;
        ledger.tracking(key, rank, body, Some(&self.correlation), self.trace.clone())
    }

    fn submission(&self, task_id: Option<&str>) -> Submission {
        Submission::new(&self.inner.ledger, &self.correlation, task_id)
    }
}
