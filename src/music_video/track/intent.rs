//! A submission of which nobody knows whether the provider got it.

use std::time::Duration;

use super::{
    ledger::submission_of,
    poller::{Poll, Task, later},
};
use crate::{error::chain, music_video::GenerateRequest, worker::Ruling};

/// How often it is looked at while there is nothing to do but wait: so that a change of the settings
/// reaches it.
const LOOK: Duration = Duration::from_secs(60 * 60);

impl Poll {
    /// Without the task's id there is nothing to ask for: it waits for its callback. Only who said that
    /// it costs nothing has it submitted again.
    pub(super) async fn intent(&self, task: Task<'_>, request: &GenerateRequest) -> Ruling {
        if self.is_overdue(&task) {
            return Ruling::Dead(
                "nobody knows whether it was submitted: the process ended, or the provider's answer \
                 was lost, and no callback came"
                    .to_owned(),
            );
        }
        let (Some(submitter), Some(correlation)) = (&self.polling.resubmitting, task.correlation)
        else {
            let why =
                "whether it was submitted is not known: only its callback can tell".to_owned();
            return self.until_deadline(&task, LOOK, why);
        };
        let first = self.polling.first;
        if let Some(wait) = task.is_younger_than(first) {
            return later(wait, "the submission may still be under way");
        }
        let trace = submission_of(&task.record.meta);
        match submitter.submit_again(request, correlation, trace).await {
            // The record was upgraded, and is due as what it is now.
            Ok(()) => later(Duration::ZERO, "it was submitted again"),
            Err(error) => self.hindered(&task, &chain(&error)),
        }
    }
}
