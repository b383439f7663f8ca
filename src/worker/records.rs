//! Records that are no events: a room on top reads them itself, and rules what becomes of them. And
//! what such a room does with an event before its handler gets it.

use std::{sync::Arc, time::Duration};

use super::{
    AnyHandler,
    any::{BoxFuture, Failure, Job, Seat, Seats},
    error::{Ruled, Verdict},
};
use crate::{BoxError, error::bounded, event::TraceContext, store::Leased};

/// What becomes of a record of a room's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is done.
    Done,
    /// It is to be looked at again. Neither a failure nor bounded by the retry policy.
    Later {
        /// After this, on the endpoint's clock.
        after: Duration,
        /// What is waited for, as the operator finds it in the store.
        why: String,
    },
    /// It is given up, and kept for the operator.
    Dead(String),
    /// It is forgotten: its key is free again.
    Disown,
}

/// Handles records as they are.
pub(crate) trait Records: Send + Sync + 'static {
    /// Says what becomes of a leased record. A panic is a failed attempt.
    fn handle(&self, leased: Leased) -> impl Future<Output = Ruling> + Send;
}

/// What is done with an event before its handler gets it.
pub(crate) trait Step: Send + Sync + 'static {
    /// Where the submission stands in its trace that asked for the event, if that is known. An error is
    /// a failed attempt, of which the handler learns nothing.
    fn before<'a>(
        &'a self,
        leased: &'a Leased,
    ) -> BoxFuture<'a, Result<Option<TraceContext>, BoxError>>;
}

impl AnyHandler {
    /// What handles records of a room's own.
    pub(crate) fn from_records(records: impl Records) -> Self {
        Self(Arc::new(OfRecords(Arc::new(records))))
    }

    /// The same handler, after a step.
    pub(crate) fn after(self, step: Arc<dyn Step>) -> Self {
        Self(Arc::new(After {
            step,
            handler: self,
        }))
    }
}

struct OfRecords<R>(Arc<R>);

impl<R: Records> Seats for OfRecords<R> {
    fn seat(&self) -> BoxFuture<'_, Result<Seat, BoxError>> {
        let records = Arc::clone(&self.0);
        let take = move |job: Job| async move { records.handle(job.leased).await.into() };
        Box::pin(async { Ok(Seat::new(take)) })
    }
}

struct After {
    step: Arc<dyn Step>,
    handler: AnyHandler,
}

impl Seats for After {
    fn seat(&self) -> BoxFuture<'_, Result<Seat, BoxError>> {
        Box::pin(async {
            let seat = self.handler.0.seat().await?;
            let step = Arc::clone(&self.step);
            Ok(Seat::new(move |mut job: Job| async move {
                job.submission = step.before(&job.leased).await.map_err(failed)?;
                seat.take(job).await
            }))
        })
    }
}

/// As any failed attempt: the retry policy says when the next one is.
fn failed(error: BoxError) -> Failure {
    Failure::from(super::HandlerError::from(error))
}

impl From<Ruling> for Result<(), Failure> {
    fn from(ruling: Ruling) -> Self {
        let (ruled, error) = match ruling {
            Ruling::Done => return Ok(()),
            Ruling::Later { after, why } => (Ruled::Later(after), why),
            Ruling::Dead(reason) => (Ruled::Dead, reason),
            Ruling::Disown => (Ruled::Disown, String::new()),
        };
        Err(Failure {
            verdict: Verdict::Ruled(ruled),
            error: bounded(error),
        })
    }
}
