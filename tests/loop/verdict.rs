//! What the provider knows, held against what the service handled and what its store says.

use tower_callback::{
    event::{Callback, Event},
    music_video::MusicVideo,
    store::{Found, Inspect, Queue, SqliteStore, State, Store},
    testing::provider::{SimulationReport, TaskReport, Truth},
};

use crate::{
    books::Books,
    journal::Given,
    receiver::{ENDPOINT, events},
    setup::{ORDERS, Setup, order, order_of, track},
    tally::Tally,
};

/// The word for an intent of which no outcome is known.
const NOBODY_KNOWS: &str = "nobody knows whether it was submitted";
/// In the tracked queue, the rank of an event is counted from here.
const ENDED: u16 = 2;

pub(crate) struct Verdict<'a> {
    setup: &'a Setup,
    report: &'a SimulationReport,
    store: &'a SqliteStore,
    books: Books,
}

impl<'a> Verdict<'a> {
    pub(crate) fn new(
        setup: &'a Setup,
        report: &'a SimulationReport,
        store: &'a SqliteStore,
        books: Books,
    ) -> Self {
        Self {
            setup,
            report,
            store,
            books,
        }
    }

    pub(crate) async fn wrongs(mut self, tally: &mut Tally) -> Vec<String> {
        let mut dead = 0;
        for number in 0..ORDERS {
            dead += u64::from(self.order(number).await);
        }
        for task in self.report.tasks() {
            if order_of(&task.audio_id).is_none() {
                self.ended(task, None).await;
            }
        }
        let given = std::mem::take(&mut self.books.given);
        for given in &given {
            self.given(given);
        }
        for paid in self.report.paid_twice() {
            self.wrong(format!(
                "{} was paid {} times",
                paid.audio_id,
                paid.tasks.len()
            ));
        }
        if self.report.deceived() > 0 {
            self.wrong(format!(
                "{} forged or malformed requests got 200",
                self.report.deceived()
            ));
        }
        let of_events = self.store.counts(&events()).await.unwrap();
        let tracked = self.store.counts(&Queue::tracked(ENDPOINT)).await.unwrap();
        if (of_events.dead, tracked.dead) != (0, dead) {
            self.wrong(format!(
                "{} events are dead, and {} tracked records instead of {dead}",
                of_events.dead, tracked.dead
            ));
        }
        tally.plays += 1;
        tally.tasks += self.report.tasks().len();
        tally.expired += self.books.expired;
        tally.dead += dead as usize;
        tally.calls += given.len();
        tally.polled += given.iter().filter(|given| given.polled).count();
        tally.called_back += given.iter().filter(|given| !given.polled).count();
        let failed_first =
            |given: &&Given| given.rank == 0 && self.books.ended.contains(&(given.task.clone(), 1));
        tally.failed_first += given.iter().filter(failed_first).count();
        tally.details += self.report.calls().details;
        self.books.wrongs
    }

    /// What became of an order, and whether that is a dead letter.
    async fn order(&mut self, number: usize) -> bool {
        let order = order(number);
        let key = format!("c:{order}");
        let tracked = Queue::tracked(ENDPOINT);
        let found = self.store.find(&tracked, key.as_bytes()).await.unwrap();
        let audio = track(number);
        let task = self
            .report
            .tasks()
            .iter()
            .find(|task| task.audio_id == audio);
        let Some(found) = found else {
            self.wrong(format!(
                "{order} is unknown, of which the provider has {task:?}"
            ));
            return false;
        };
        match (task, found.rank, found.state) {
            (_, 0, State::Dead) => {
                self.dead_letter(&order, &found, task);
                return true;
            }
            (Some(task), rank, State::Done) if rank >= ENDED => {
                self.noted(&order, found, task);
                self.ended(task, Some(&order)).await;
            }
            _ => self.wrong(format!(
                "{order} ends as {:?} of rank {} ({:?}), of which the provider has {task:?}",
                found.state, found.rank, found.error
            )),
        }
        false
    }

    /// Nobody can know how its submission went, and no callback told.
    fn dead_letter(&mut self, order: &str, found: &Found, task: Option<&TaskReport>) {
        if self.setup.mode.resubmits() {
            self.wrong(format!(
                "{order} is dead, and should have been submitted again"
            ));
        }
        let reason = found.error.as_deref().unwrap_or_default();
        let told = self.books.given_up.get(order).map(String::as_str);
        if !reason.contains(NOBODY_KNOWS) || told.is_none_or(|told| !told.contains(NOBODY_KNOWS)) {
            self.wrong(format!(
                "{order} is dead because {reason:?}, and who waited heard {told:?}"
            ));
        }
        if let Some(task) = task
            && (task.acknowledged || self.handled(task, 0) || self.handled(task, 1))
        {
            self.wrong(format!("{order} is dead, and its callback came: {task}"));
        }
    }

    /// The event stands with its order, for those who wait.
    fn noted(&mut self, order: &str, found: Found, task: &TaskReport) {
        let Some(rank) = final_rank(task) else {
            return;
        };
        let headers = http::HeaderMap::new();
        let body = found.body.unwrap_or_default();
        let event = MusicVideo::parse(&Callback::new(&body, std::time::UNIX_EPOCH, &headers));
        let is_its = event.is_ok_and(|event| *event.task_id == *task.task_id);
        if !is_its || found.rank != ENDED + rank {
            self.wrong(format!(
                "{order} ends with rank {} of another end than {task}",
                found.rank
            ));
        }
        let waited = self.books.waited.get(order);
        if waited.is_none_or(|tasks| tasks.len() != 1 || !tasks.contains(&*task.task_id)) {
            self.wrong(format!(
                "who waited for {order} got {waited:?} and not {}",
                task.task_id
            ));
        }
    }

    /// A task whose event must have been handled.
    async fn ended(&mut self, task: &TaskReport, order: Option<&str>) {
        let Some(rank) = final_rank(task) else {
            return self.wrong(format!("{task} has not ended"));
        };
        if !self.handled(task, rank) {
            self.wrong(format!("{task} was not handled as what it became"));
        }
        let found = self.store.find(&events(), task.task_id.as_bytes()).await;
        let (state, error) = match found.unwrap() {
            Some(found) => (Some((found.state, found.rank)), found.error),
            None => (None, None),
        };
        if state != Some((State::Done, rank)) {
            self.wrong(format!(
                "{task} stands in the store as {state:?}: {error:?}"
            ));
        }
        // Of one that was submitted elsewhere, only a forger can have given one.
        let is_its = |given: &Given| match order {
            Some(order) => given.correlation.as_deref() == Some(order),
            None => (given.correlation.as_deref()).is_none_or(|it| it == task.audio_id),
        };
        let mut given = self.books.given.iter();
        let strangers = given.find(|given| *given.task == *task.task_id && !is_its(given));
        if let Some(given) = strangers {
            let given = format!("{given:?}");
            self.wrong(format!(
                "{task} is of {order:?}, and was handled as {given}"
            ));
        }
    }

    /// What the handler got is the provider's word.
    fn given(&mut self, given: &Given) {
        let Some(task) = self.report.task(&given.task) else {
            return self.wrong(format!("a task was handled that there is not: {given:?}"));
        };
        let prefix = format!("{}/videos/{}-", self.setup.provider, given.task);
        let is_true = match (task.truth, &given.url) {
            (Truth::Succeeded, Some(url)) => url.starts_with(&prefix) && given.rank == 1,
            (Truth::Failed { code }, None) => given.code == code && given.rank == 0,
            // It failed first: the provider said so itself, then.
            (Truth::Succeeded, None) => {
                let said = |attempt: &&_| is_genuine_failure(attempt);
                given.rank == 0 && task.attempts.iter().find(said).is_some()
            }
            _ => false,
        };
        if !is_true {
            self.wrong(format!("{task} was handled as {given:?}"));
        }
        if self.setup.mode.confirms() && !given.polled {
            self.wrong(format!(
                "an event was handled that nobody confirmed: {given:?}"
            ));
        }
    }

    fn handled(&self, task: &TaskReport, rank: u16) -> bool {
        self.books.ended.contains(&(task.task_id.to_string(), rank))
    }

    fn wrong(&mut self, what: String) {
        self.books.wrongs.push(what);
    }
}

fn is_genuine_failure(attempt: &tower_callback::testing::provider::Attempt) -> bool {
    attempt.kind.is_genuine() && attempt.code != 200
}

/// The rank of what it became.
fn final_rank(task: &TaskReport) -> Option<u16> {
    match task.truth {
        Truth::Pending => None,
        Truth::Failed { .. } => Some(0),
        Truth::Succeeded => Some(1),
    }
}
