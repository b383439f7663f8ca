//! What happens to an event before its handler gets it: it is noted with its submission.

use std::{pin::Pin, sync::Arc};

use super::{
    ledger::{Ledger, noted_meta, submission_of},
    records::{ANSWERED, ENDED, Tracked, correlation_key},
    streak::Streak,
};
use crate::{
    BoxError,
    event::{Meta, Source, TraceContext},
    store::{Inserted, Leased, NewRecord},
    worker::Step,
};

pub(super) struct Note {
    ledger: Arc<Ledger>,
    streak: Arc<Streak>,
}

impl Note {
    pub(super) fn new(ledger: Arc<Ledger>, streak: Arc<Streak>) -> Self {
        Self { ledger, streak }
    }

    /// Answers where the submission stands in its trace.
    async fn note(&self, leased: &Leased) -> Result<Option<TraceContext>, BoxError> {
        let Ok(meta) = Meta::decode(&leased.meta) else {
            // The handler's attempt will say so.
            return Ok(None);
        };
        if meta.source == Source::Callback {
            self.streak.end();
        }
        let Some(correlation) = &meta.correlation else {
            return Ok(None);
        };
        let rank = leased.rank.saturating_add(ENDED);
        let key = correlation_key(correlation);
        let mut submission = None;
        if let Some(found) = self.ledger.find_submission(correlation).await? {
            submission = found.meta.as_deref().and_then(submission_of);
            if found.rank >= rank {
                return Ok(submission);
            }
            let body = found.body.unwrap_or_default();
            if found.rank == ANSWERED
                && let Some(Tracked::Submitted { task_id, .. }) =
                    Tracked::read(&key, found.rank, &body)
                && task_id.as_bytes() != leased.key
            {
                // Whoever captured the URL of one task may send the event of another under it.
                tracing::warn!(
                    endpoint = self.ledger.endpoint(),
                    correlation,
                    "an event came under the correlation id of another task: it is not noted there",
                );
                return Ok(None);
            }
        }
        let record = NewRecord::new(self.ledger.tracked.clone(), key, leased.body.clone())
            .with_rank(rank)
            .with_meta(noted_meta(leased.meta.clone(), submission.as_ref()));
        match self.ledger.insert(record).await? {
            Inserted::Fresh | Inserted::Upgraded | Inserted::Duplicate { .. } => Ok(submission),
            // It would be a new record: nobody submitted under this id here, and nobody waits.
            Inserted::Full => Ok(submission),
            Inserted::Busy => Err("the record of the event's submission is held".into()),
        }
    }
}

impl Step for Note {
    fn before<'a>(
        &'a self,
        leased: &'a Leased,
    ) -> Pin<Box<dyn Future<Output = Result<Option<TraceContext>, BoxError>> + Send + 'a>> {
        Box::pin(self.note(leased))
    }
}
