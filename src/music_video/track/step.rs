//! What happens to an event before its handler gets it: it is noted with its submission.

use std::{pin::Pin, sync::Arc};

use super::{
    ledger::Ledger,
    records::{ANSWERED, ENDED, Tracked, correlation_key},
    streak::Streak,
};
use crate::{
    BoxError,
    event::{Meta, Source},
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

    async fn note(&self, leased: &Leased) -> Result<(), BoxError> {
        let Ok(meta) = Meta::decode(&leased.meta) else {
            // The handler's attempt will say so.
            return Ok(());
        };
        if meta.source == Source::Callback {
            self.streak.end();
        }
        let Some(correlation) = &meta.correlation else {
            return Ok(());
        };
        let rank = leased.rank.saturating_add(ENDED);
        if let Some(found) = self.ledger.find_submission(correlation).await? {
            if found.rank >= rank {
                return Ok(());
            }
            let body = found.body.unwrap_or_default();
            let key = correlation_key(correlation);
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
                return Ok(());
            }
        }
        let key = correlation_key(correlation);
        let record = NewRecord::new(self.ledger.tracked.clone(), key, leased.body.clone())
            .with_rank(rank)
            .with_meta(leased.meta.clone());
        match self.ledger.insert(record).await? {
            Inserted::Fresh | Inserted::Upgraded | Inserted::Duplicate { .. } => Ok(()),
            // It would be a new record: nobody submitted under this id here, and nobody waits.
            Inserted::Full => Ok(()),
            Inserted::Busy => Err("the record of the event's submission is held".into()),
        }
    }
}

impl Step for Note {
    fn before<'a>(
        &'a self,
        leased: &'a Leased,
    ) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>> {
        Box::pin(self.note(leased))
    }
}
