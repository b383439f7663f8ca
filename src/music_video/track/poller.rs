//! Looks at tracked tasks that fell due, and asks the provider.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Notify;

use super::{
    Polling,
    doubts::Doubts,
    ledger::{Ledger, noted_meta, submission_of},
    records::{ENDED, Tracked, correlation_key},
    streak::Streak,
};
use crate::{
    count,
    error::chain,
    event::{Event, EventKey, Meta, Rank, Source},
    music_video::{ClientError, MusicVideo},
    store::{Found, Inserted, Leased, NewRecord},
    worker::{Records, Ruling, Trouble, part_of, random},
};

/// How often in a row the provider must say that it does not know a task before that counts: it may
/// not see one at once that it has just taken.
const UNKNOWN: u32 = 3;
/// The longest pause after a failure, whose cause is somebody else's to mend.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);
/// For how many of the longest pauses a doubt is kept that nobody has had again: several, since the
/// rate limit may let questions wait.
const PAUSES: u32 = 10;

pub(super) struct Poll {
    pub(super) ledger: Arc<Ledger>,
    pub(super) polling: Polling,
    pub(super) streak: Arc<Streak>,
    /// Wakes the worker of the events.
    wake: Arc<Notify>,
    doubts: Doubts,
    trouble: Mutex<Trouble>,
}

/// A task that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) record: &'a Leased,
    pub(super) id: &'a str,
    pub(super) correlation: Option<&'a str>,
    /// Since it was submitted, on the endpoint's clock.
    pub(super) age: Duration,
}

/// What the provider said.
pub(super) enum Answer {
    Ended(MusicVideo, EventKey),
    /// Not yet, and in what words.
    Open(String),
    Unknown,
    Failed(String),
}

impl Poll {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        polling: Polling,
        wake: Arc<Notify>,
        streak: Arc<Streak>,
    ) -> Self {
        let kept = polling.every.max(LONGEST_PAUSE).saturating_mul(PAUSES);
        Self {
            doubts: Doubts::new(ledger.clock.clone(), kept),
            ledger,
            polling,
            streak,
            wake,
            trouble: Mutex::new(Trouble::new(Duration::MAX)),
        }
    }

    /// A task whose event must come.
    async fn task(&self, task: Task<'_>) -> Ruling {
        let Polling { first, every, .. } = self.polling;
        if let Some(wait) = task.is_younger_than(first) {
            return later(wait, "it is asked for when a callback had its time to come");
        }
        match self.ledger.find_event(task.id).await {
            Ok(None) => {}
            Ok(Some(found)) => return self.there(&task, found).await,
            Err(error) => return self.hindered(&task, &chain(&error)),
        }
        match self.ask(task.id).await {
            Answer::Ended(event, key) => self.ended(&task, &event, key).await,
            Answer::Open(words) if !self.is_overdue(&task) => {
                self.clear(&task);
                self.until_deadline(&task, every, words)
            }
            Answer::Open(words) => {
                self.clear(&task);
                let deadline = self.polling.deadline;
                Ruling::Dead(format!(
                    "the task was not ended after {deadline:?}: {words}"
                ))
            }
            Answer::Unknown if self.is_overdue(&task) || self.doubt(&task) >= UNKNOWN => {
                self.clear(&task);
                Ruling::Dead("the provider does not know the task".to_owned())
            }
            Answer::Unknown => {
                let why = "the provider does not know the task yet, or no more".to_owned();
                self.until_deadline(&task, every, why)
            }
            Answer::Failed(error) if self.is_overdue(&task) => Ruling::Dead(format!(
                "the provider could not be asked until the deadline: {error}"
            )),
            Answer::Failed(error) => self.hindered(&task, &error),
        }
    }

    /// Somebody was faster: the event is in the store.
    async fn there(&self, task: &Task<'_>, found: Found) -> Ruling {
        let (Some(body), Some(meta)) = (found.body, found.meta) else {
            return Ruling::Done;
        };
        if Meta::decode(&meta).is_ok_and(|meta| meta.source == Source::Callback) {
            self.streak.end();
        }
        self.note(task, found.rank, body, meta).await
    }

    /// The provider told the event.
    async fn ended(&self, task: &Task<'_>, event: &MusicVideo, key: EventKey) -> Ruling {
        let mut asked = task.meta(self.ledger.clock.now());
        asked.correlation = task.correlation.map(str::to_owned);
        let record = self.ledger.told(event, key, &asked);
        let (rank, body, meta) = (record.rank, record.body.clone(), record.meta.clone());
        match self.tell(record).await {
            Ok(true) => {
                self.streak.grow(self.ledger.endpoint());
                self.note(task, rank, body, meta).await
            }
            // Somebody was faster by a moment: what he brought is the event.
            Ok(false) => later(Duration::ZERO, "its event has just come"),
            Err(error) => self.hindered(task, &error),
        }
    }

    /// Puts an event among the events, and answers whether it is news.
    pub(super) async fn tell(&self, record: NewRecord) -> Result<bool, String> {
        match self.ledger.insert(record).await {
            Ok(Inserted::Fresh | Inserted::Upgraded) => {
                count::event(self.ledger.events.name(), Source::Poll.as_str());
                self.wake.notify_one();
                Ok(true)
            }
            Ok(Inserted::Duplicate { .. }) => Ok(false),
            Ok(Inserted::Full) => Err("the store is full".to_owned()),
            Ok(Inserted::Busy) => Err("somebody holds the record of the event".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Notes the event with its submission, if it has one. That upgrades the very record that is
    /// leased, which is due again then, and done.
    pub(super) async fn note(
        &self,
        task: &Task<'_>,
        rank: Rank,
        body: Bytes,
        meta: Bytes,
    ) -> Ruling {
        let Some(correlation) = task.correlation else {
            return Ruling::Done;
        };
        let key = correlation_key(correlation);
        let record = NewRecord::new(self.ledger.tracked.clone(), key, body)
            .with_rank(rank.saturating_add(ENDED))
            .with_meta(noted_meta(meta, submission_of(&task.record.meta).as_ref()));
        match self.ledger.insert(record).await {
            Ok(Inserted::Fresh | Inserted::Upgraded | Inserted::Duplicate { .. }) => Ruling::Done,
            Ok(Inserted::Full | Inserted::Busy) => {
                self.hindered(task, "the event could not be noted with its submission")
            }
            Err(error) => self.hindered(task, &chain(&error)),
        }
    }

    /// Asks the provider.
    pub(super) async fn ask(&self, task_id: &str) -> Answer {
        let details = match self.polling.client.details(task_id).await {
            Ok(Some(details)) => details,
            Ok(None) => return Answer::Unknown,
            Err(error) => {
                self.complain(&error);
                return Answer::Failed(chain(&error));
            }
        };
        let Some(event) = details.event() else {
            return Answer::Open(format!("the provider says {:?}", details.status));
        };
        match event.key() {
            Ok(key) if key.as_str() == task_id => Answer::Ended(event, key),
            _ => Answer::Failed("the provider answered for another task".to_owned()),
        }
    }

    /// Tells now and then that the provider cannot be asked: some of it only a person can mend.
    fn complain(&self, error: &ClientError) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(untold) = trouble.tell() {
            tracing::warn!(
                endpoint = self.ledger.endpoint(),
                error = chain(error),
                kind = ?error.kind(),
                untold,
                "the provider could not be asked for a task, which is tried again",
            );
        }
    }

    pub(super) fn is_overdue(&self, task: &Task<'_>) -> bool {
        task.age >= self.polling.deadline
    }

    /// Again after this, but not after the deadline, at which it is looked at for the last time.
    pub(super) fn until_deadline(&self, task: &Task<'_>, after: Duration, why: String) -> Ruling {
        let left = self.polling.deadline.saturating_sub(task.age);
        let after = if left.is_zero() {
            after
        } else {
            after.min(left)
        };
        Ruling::Later { after, why }
    }

    /// Again when it may be better: the longer it has been so, the later.
    pub(super) fn hindered(&self, task: &Task<'_>, why: &str) -> Ruling {
        let every = self.polling.every;
        let pause = (task.age / 10).clamp(every, LONGEST_PAUSE.max(every));
        let jittered = pause / 2 + part_of(pause / 2, random());
        self.until_deadline(task, jittered, why.to_owned())
    }

    /// Counts one more answer in a row that may still change.
    pub(super) fn doubt(&self, task: &Task<'_>) -> u32 {
        self.doubts.add(&task.record.key)
    }

    /// Nothing is doubtful any more.
    pub(super) fn clear(&self, task: &Task<'_>) {
        self.doubts.clear(&task.record.key);
    }
}

impl Task<'_> {
    /// The meta of its record, or one that says nothing if it cannot be read.
    pub(super) fn meta(&self, now: SystemTime) -> Meta {
        Meta::decode(&self.record.meta).unwrap_or_else(|_| Meta::new(now, &HeaderMap::new()))
    }

    /// How long until it is that old.
    pub(super) fn is_younger_than(&self, age: Duration) -> Option<Duration> {
        age.checked_sub(self.age).filter(|left| !left.is_zero())
    }
}

impl Records for Poll {
    async fn handle(&self, leased: Leased) -> Ruling {
        let key = leased.key.clone();
        let ruling = self.rule(leased).await;
        if !matches!(ruling, Ruling::Later { .. }) {
            self.doubts.clear(&key);
        }
        ruling
    }
}

impl Poll {
    async fn rule(&self, leased: Leased) -> Ruling {
        let age = self.ledger.clock.of_store(leased.age);
        let of = |id, correlation| Task {
            record: &leased,
            id,
            correlation,
            age,
        };
        match Tracked::read(&leased.key, leased.rank, &leased.body) {
            Some(Tracked::Ended) => Ruling::Done,
            Some(Tracked::Refused) => Ruling::Disown,
            Some(Tracked::Intent {
                correlation,
                request,
            }) => self.intent(of("", Some(correlation)), &request).await,
            Some(Tracked::Submitted {
                correlation,
                task_id,
                ..
            }) => self.task(of(&task_id, Some(correlation))).await,
            Some(Tracked::Task { task_id }) => self.task(of(task_id, None)).await,
            Some(Tracked::Hint { task_id, claimed }) => self.hint(of(task_id, None), claimed).await,
            // A newer version may read it, and takes the record over meanwhile.
            None if age < self.polling.deadline => {
                let why = "this version cannot read the record".to_owned();
                self.until_deadline(&of("", None), LONGEST_PAUSE, why)
            }
            None => Ruling::Dead("the record cannot be read".to_owned()),
        }
    }
}

pub(super) fn later(after: Duration, why: &str) -> Ruling {
    Ruling::Later {
        after,
        why: why.to_owned(),
    }
}
