//! Submits tasks, each at most once.

use std::{fmt, sync::Arc};

use super::{
    Submission, SubmitError,
    kept::Kept,
    ledger::Ledger,
    records::Tracked,
    submit::Attempt,
    tracker::{noted, track},
};
use crate::{
    BuildError, SignedUrl, TraceContext, Verify,
    music_video::{Client, GenerateRequest},
    store::{AnyStore, Store, StoreError},
    verify::Setup,
};

/// Submits tasks to the provider, each at most once, and such that the event of each is found again.
///
/// ```no_run
/// # use tower_callback::{BoxError, Callbacks, MusicVideo, SignedUrl, store::Store};
/// # use tower_callback::music_video::{Client, GenerateRequest, Submitter};
/// # async fn example(store: impl Store + Clone, client: Client, signed: SignedUrl) -> Result<(), BoxError> {
/// let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", signed.clone())
///     .store(store.clone())
///     .handle(|delivery| async move { Ok(println!("{:?}", delivery.event.outcome)) })
///     .poll_with(client.clone())
///     .build()?;
/// # let _ = (callback, worker);
///
/// let submitter = Submitter::new("music-video", store, client, signed)?;
/// let request = GenerateRequest::new("taskId_774b9aa0422f", "e231cadc7dc");
/// let submission = submitter.submit(&request, "order-1742").await?;
/// let event = submission.wait().await?;
/// # let _ = event;
/// # Ok(()) }
/// ```
///
/// Clones are the same submitter. An endpoint of the same name and store, built with
/// [`poll_with`](crate::Callbacks::poll_with), is needed in some process: it resolves what callbacks do not.
///
/// # What a crash leaves
///
/// It notes in the store what it is about to submit, then submits, then notes the task that came of it.
///
/// | the process ends | what is there | what becomes of it |
/// | --- | --- | --- |
/// | before the intent is noted | nothing | nothing was submitted |
/// | before the provider's answer is noted | an intent | its callback carries the correlation id, and resolves it. If none comes, it is a dead letter at the [deadline](super::Polling::with_deadline), for a person to look at |
/// | later | a tracked task | its callback or a poll resolves it |
///
/// So nothing is paid twice for one correlation id, at the price of an intent that a person has to look at
/// when the process ends in just that moment and the callback is lost too. Where the provider answers a
/// second submission with 409 and the task that is there, there is no such price: say so by
/// [`conflict_is_idempotent`](Self::conflict_is_idempotent), and have the worker submit again by
/// [`Polling::resubmitting`](super::Polling::resubmitting).
///
/// A [volatile](crate::store::Durability::Volatile) store keeps none of this beyond the process. And it needs the
/// store itself: a file in front of one that may be away, such as `Spooled`, does not know what is in there, and
/// the same id would be submitted again.
#[derive(Clone)]
pub struct Submitter {
    inner: Arc<Inner>,
    idempotent: bool,
    trace: Option<TraceContext>,
}

pub(super) struct Inner {
    pub(super) ledger: Arc<Ledger>,
    pub(super) client: Client,
    pub(super) url: SignedUrl,
    /// By correlation id: intents that may be in the store, and were not submitted.
    pub(super) unanswered: Kept,
    /// By task id: what was submitted, and could not be noted.
    pub(super) unrecorded: Kept,
}

impl Submitter {
    /// Submits by `client`, for the endpoint of this name, in its store.
    ///
    /// Each submission gets a callback URL of its own, minted by `url`, which is also the proof that
    /// the endpoint was built with. The submitter runs on the clock of the client: give all the same.
    ///
    /// # Errors
    ///
    /// When `url` is of another endpoint, or one of its settings is wrong.
    pub fn new(
        endpoint: impl Into<Arc<str>>,
        store: impl Store,
        client: Client,
        url: SignedUrl,
    ) -> Result<Self, BuildError> {
        let endpoint = endpoint.into();
        url.check(&Setup::leaf(&endpoint))?;
        let ledger = Ledger::new(endpoint, AnyStore::new(store), client.clock().clone());
        Ok(Self {
            inner: Arc::new(Inner {
                ledger: Arc::new(ledger),
                client,
                url,
                unanswered: Kept::default(),
                unrecorded: Kept::default(),
            }),
            idempotent: false,
            trace: None,
        })
    }

    /// Says that the provider answers a second submission of the same request with 409 and the task
    /// that is there, and does not have it paid again.
    ///
    /// It is what [`Polling::resubmitting`](super::Polling::resubmitting) needs. By itself it changes
    /// nothing.
    #[must_use]
    pub fn conflict_is_idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The same submitter, for submissions that belong to a trace: where the span stands in it that they
    /// are made in. It is kept with each submission, and comes to the handler of its event as
    /// [`Delivery::submission_trace_context`](crate::Delivery::submission_trace_context), whether a callback
    /// brings that or a poll.
    ///
    /// The provider is told nothing of it.
    #[must_use]
    pub fn with_trace_context(mut self, context: TraceContext) -> Self {
        self.trace = Some(context);
        self
    }

    /// Submits a request under a correlation id of yours, such as the id of an order: 1 to 128 bytes, no
    /// control characters.
    ///
    /// **At most once for each id.** If there is a submission under the id already, also from before a
    /// restart or in another process, nothing is submitted and the answer is that submission. So after a crash,
    /// submit what you are not sure of again, under the same id. The id is free again when the provider
    /// has surely refused the submission, and when the store has forgotten it (see
    /// [`Retention`](crate::store::Retention)).
    ///
    /// It finishes in a task of its own even if this future is dropped: a client that hangs up must
    /// not leave a submission behind of which nobody knows how it went.
    ///
    /// # Errors
    ///
    /// [`SubmitError::kind`] says whether anything was submitted, and
    /// [`SubmitError::is_retryable`] whether to try again: by this submitter or a clone of it, which
    /// knows what may have reached the store before it failed.
    pub async fn submit(
        &self,
        request: &GenerateRequest,
        correlation: impl AsRef<str>,
    ) -> Result<Submission, SubmitError> {
        request.check().map_err(SubmitError::refused)?;
        let attempt = self.attempt(request, correlation.as_ref())?;
        match tokio::spawn(attempt.run()).await {
            Ok(submitted) => submitted,
            Err(ended) => Err(SubmitError::unknown(ended)),
        }
    }

    /// The submission under this correlation id, if there is one: also one that was made before a restart,
    /// or by another process.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn find(
        &self,
        correlation: impl AsRef<str>,
    ) -> Result<Option<Submission>, StoreError> {
        let correlation = correlation.as_ref();
        let ledger = &self.inner.ledger;
        let Some(found) = ledger.find_submission(correlation).await? else {
            return Ok(None);
        };
        let key = super::records::correlation_key(correlation);
        let body = found.body.unwrap_or_default();
        Ok(match Tracked::read(&key, found.rank, &body) {
            Some(Tracked::Refused) => None,
            Some(Tracked::Submitted { task_id, .. }) => {
                Some(Submission::new(ledger, correlation, Some(&task_id)))
            }
            _ => Some(Submission::new(ledger, correlation, None)),
        })
    }

    /// Tracks a task that was submitted elsewhere, as a [`Tracker`](super::Tracker) does.
    ///
    /// A task of its own that could [not be noted](super::SubmitErrorKind::Unrecorded) is noted now, with its
    /// submission, while the process that submitted it lives.
    ///
    /// # Errors
    ///
    /// As [`Tracker::track`](super::Tracker::track).
    pub async fn track(&self, task_id: impl AsRef<str>) -> Result<(), StoreError> {
        let task_id = task_id.as_ref();
        let Inner {
            ledger, unrecorded, ..
        } = &*self.inner;
        let mut is_noted = false;
        for record in unrecorded.take(task_id, |_| true) {
            match noted(ledger.insert(record.clone()).await) {
                Ok(news) => is_noted |= news,
                Err(error) => {
                    unrecorded.put(task_id, record);
                    return Err(error);
                }
            }
        }
        if is_noted {
            return Ok(());
        }
        track(ledger, task_id).await
    }

    /// Submits what may have been submitted, in the trace that it was. Only where a conflict is idempotent.
    pub(super) async fn submit_again(
        &self,
        request: &GenerateRequest,
        correlation: &str,
        trace: Option<TraceContext>,
    ) -> Result<(), SubmitError> {
        let mut attempt = self.attempt(request, correlation)?;
        attempt.trace = trace;
        attempt.run_again().await
    }

    pub(super) fn is_conflict_idempotent(&self) -> bool {
        self.idempotent
    }

    pub(super) fn endpoint(&self) -> &str {
        self.inner.ledger.endpoint()
    }

    fn attempt(
        &self,
        request: &GenerateRequest,
        correlation: &str,
    ) -> Result<Attempt, SubmitError> {
        Ok(Attempt {
            url: (self.inner.url.mint(correlation)).map_err(SubmitError::unminted)?,
            inner: Arc::clone(&self.inner),
            request: request.clone(),
            correlation: correlation.to_owned(),
            trace: self.trace.clone(),
        })
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter")
            .field("endpoint", &self.endpoint())
            .field("client", &self.inner.client)
            .field("conflict_is_idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}
