//! A callback that is only a hint: the provider is asked whether it is true.

use super::poller::{Answer, Poll, Task};
use crate::{error::chain, event::Rank, store::Found, worker::Ruling};

/// How often the provider must contradict a hint before it is dropped. The callback may have been
/// sent a moment before the provider's own record of the task was changed.
const CONTRADICTED: u32 = 3;

impl Poll {
    /// Ends, one way or the other, with its key free again: a hint must not keep another one away.
    pub(super) async fn hint(&self, task: Task<'_>, claimed: Rank) -> Ruling {
        // Also where it is forged: the URL can be reached, which is what the streak is about.
        self.streak.end();
        let mut asked = task.meta(self.ledger.clock.now());
        // Who has captured the URL of one task may send what is true of another.
        let correlation = asked.correlation.take();
        asked.correlation = match self.ledger.unless_of_another(correlation, task.id).await {
            Ok(correlation) => correlation,
            Err(error) => return self.hindered(&task, &chain(&error)),
        };
        match self.ledger.find_event(task.id).await {
            Ok(Some(found)) if found.rank >= claimed => {
                return self.known(&task, found, asked.correlation).await;
            }
            Ok(_) => {}
            Err(error) => return self.hindered(&task, &chain(&error)),
        }
        let every = self.polling.every;
        match self.ask(task.id).await {
            Answer::Ended(event, key) => {
                let rank = key.rank();
                let record = self.ledger.told(&event, key, &asked);
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

    /// A hint of what is known already. Whoever brought it may not have known under which id it was
    /// submitted, and nobody has noted it there then.
    async fn known(&self, task: &Task<'_>, found: Found, correlation: Option<String>) -> Ruling {
        let (Some(correlation), Some(body), Some(meta)) = (correlation, found.body, found.meta)
        else {
            return Ruling::Disown;
        };
        let task = Task {
            correlation: Some(&correlation),
            ..*task
        };
        match self.note(&task, found.rank, body, meta).await {
            Ruling::Done => Ruling::Disown,
            hindered => hindered,
        }
    }
}
