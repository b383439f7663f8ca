//! A callback that is only a hint: the provider is asked whether it is true.

use super::poller::{Answer, Poll, Task};
use crate::{
    error::chain,
    event::{Meta, Rank},
    worker::Ruling,
};

/// How often the provider must contradict a hint before it is dropped. The callback may have been
/// sent a moment before the provider's own record of the task was changed.
const CONTRADICTED: u32 = 3;

impl Poll {
    /// Ends, one way or the other, with its key free again: a hint must not keep another one away.
    pub(super) async fn hint(&self, task: Task<'_>, claimed: Rank) -> Ruling {
        // Also where it is forged: the URL can be reached, which is what the streak is about.
        self.streak.end();
        match self.ledger.find_event(task.id).await {
            Ok(Some(found)) if found.rank >= claimed => return Ruling::Disown,
            Ok(_) => {}
            Err(error) => return self.hindered(&task, &chain(&error)),
        }
        let every = self.polling.every;
        match self.ask(task.id).await {
            Answer::Ended(event, key) => {
                let meta = Meta::decode(&task.record.meta);
                let (correlation, labels) = meta
                    .map(|meta| (meta.correlation, meta.labels))
                    .unwrap_or_default();
                let rank = key.rank();
                let record = self.ledger.told(&event, key, correlation, labels);
                if let Err(error) = self.tell(record).await {
                    return self.hindered(&task, &error);
                }
                if rank < claimed && self.doubt(&task) < CONTRADICTED {
                    let why = "the provider says that the task ended otherwise".to_owned();
                    return self.until_deadline(&task, every, why);
                }
                Ruling::Disown
            }
            Answer::Open(words) if !self.is_overdue(&task) => {
                self.clear(&task);
                self.until_deadline(&task, every, words)
            }
            Answer::Unknown if !self.is_overdue(&task) && self.doubt(&task) < CONTRADICTED => {
                let why = "the provider does not know the task".to_owned();
                self.until_deadline(&task, every, why)
            }
            Answer::Open(_) | Answer::Unknown => {
                tracing::warn!(
                    endpoint = self.ledger.endpoint(),
                    task = task.id,
                    "a callback is dropped: the provider does not bear it out",
                );
                Ruling::Disown
            }
            // Nobody knows whether it is true: the operator can have it asked for again.
            Answer::Failed(error) if self.is_overdue(&task) => Ruling::Dead(format!(
                "the provider could not be asked whether the callback is true: {error}"
            )),
            Answer::Failed(error) => self.hindered(&task, &error),
        }
    }
}
