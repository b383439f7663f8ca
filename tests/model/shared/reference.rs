//! What a store must be, without any cleverness: a list of records, gone through from the beginning to
//! the end for every question.

use std::time::Duration;

use tower_callback::store::{
    Action, Counts, Inserted, LeaseToken, Leased, NewRecord, Purged, Queue, QueueKind, RecordId,
    Retention, Settled, State,
    inspect::{Deleted, FailedAttempt, Record as Looked, Requeued, Summary},
};

use super::Limits;

pub(crate) struct Reference {
    limits: Limits,
    /// In the order in which their keys came.
    pub(crate) records: Vec<Record>,
    /// Every token that was ever given, and for which key.
    tokens: Vec<(LeaseToken, Queue, Vec<u8>)>,
    /// Tokens that freed their key, which nobody has used since, and when.
    disowned: Vec<(LeaseToken, Duration)>,
    dropped: u64,
}

/// What the model knows of a key.
pub(crate) struct Record {
    new: NewRecord,
    born: Duration,
    stage: Stage,
    attempts: u32,
    expiries: u32,
    /// Of all its leases.
    tokens: Vec<LeaseToken>,
    /// Of the last lease, unless it was requeued since.
    token: Option<LeaseToken>,
    /// Of the last lease that was settled.
    settled_by: Option<LeaseToken>,
    /// Of the record that had the key before, and was disowned: a store may still know it.
    before: Option<LeaseToken>,
    failures: Vec<(u32, Duration, String)>,
    /// Whether the payload is.
    kept: bool,
    /// Upgraded or requeued: whether it keeps its place among those that fall due at the same
    /// instant is not promised.
    moved: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting {
        due: Duration,
    },
    Leased {
        until: Duration,
        /// The content was replaced, and this is when the new one is due.
        next: Option<Duration>,
    },
    Quarantined {
        at: Duration,
    },
    Done {
        at: Duration,
    },
    Dead {
        at: Duration,
    },
}

impl Record {
    pub(crate) fn queue(&self) -> &Queue {
        &self.new.queue
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.new.key
    }

    pub(crate) fn id(&self) -> RecordId {
        self.new.id
    }

    fn state(&self, now: Duration) -> State {
        match self.stage {
            Stage::Leased { until, .. } if until > now => State::Leased,
            Stage::Waiting { .. } | Stage::Leased { .. } | Stage::Quarantined { .. } => {
                State::Pending
            }
            Stage::Done { .. } => State::Done,
            Stage::Dead { .. } => State::Dead,
        }
    }

    /// When it can be leased, if ever.
    fn due(&self) -> Option<Duration> {
        match self.stage {
            Stage::Waiting { due } => Some(due),
            Stage::Leased { until, next } => Some(next.map_or(until, |next| next.max(until))),
            Stage::Quarantined { .. } | Stage::Done { .. } | Stage::Dead { .. } => None,
        }
    }

    fn is_alive(&self) -> bool {
        self.due().is_some()
    }

    /// How many leases of this very content have ended by expiry.
    fn expired(&self, now: Duration) -> u32 {
        match self.stage {
            Stage::Leased { until, next: None } if until <= now => self.expiries + 1,
            _ => self.expiries,
        }
    }

    fn fail(&mut self, now: Duration, error: &str) {
        self.failures.push((self.attempts, now, error.to_owned()));
    }

    fn settled_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Done { at } | Stage::Dead { at } => Some(at),
            _ => None,
        }
    }

    /// Where a list has it: what is alive or in quarantine, what is dead, what is done; the first
    /// by time, the others by time backwards.
    fn place(&self) -> (u8, Duration) {
        match self.stage {
            Stage::Dead { at } => (1, Duration::MAX - at),
            Stage::Done { at } => (2, Duration::MAX - at),
            Stage::Quarantined { at } => (0, at),
            Stage::Waiting { .. } | Stage::Leased { .. } => (0, self.due().unwrap_or_default()),
        }
    }

    /// The tokens of which the store may say that they settled it.
    pub(crate) fn settled_by(&self) -> [Option<LeaseToken>; 2] {
        [self.settled_by, self.settled_by.or(self.before)]
    }

    pub(crate) fn error(&self) -> Option<&str> {
        let (_, _, error) = self.failures.last().filter(|_| self.kept)?;
        Some(error)
    }

    pub(crate) fn payload(&self) -> Option<(&[u8], &[u8])> {
        self.kept.then_some((&*self.new.body, &*self.new.meta))
    }

    pub(crate) fn summary(&self, now: Duration) -> Summary {
        let mut summary = Summary::new(self.new.id, self.new.rank, self.state(now));
        if self.kept {
            summary = summary
                .with_key(self.new.key.clone())
                .with_history(self.attempts, self.expired(now), now - self.born)
                .with_error(self.error());
        }
        if let Some(due) = self.due() {
            summary = summary.with_due_in(due.saturating_sub(now));
        }
        if let Some(at) = self.settled_at() {
            summary = summary.with_settled(now - at);
        }
        summary
    }

    pub(crate) fn looked_at(&self, now: Duration) -> Looked {
        let looked = Looked::new(self.summary(now));
        let Some((body, meta)) = self.payload() else {
            return looked;
        };
        let newest = self.failures.iter().rev().take(Looked::MAX_FAILURES);
        let failures = newest
            .map(|(attempt, at, error)| FailedAttempt::new(*attempt, now - *at, error.clone()));
        looked
            .with_payload(body.to_vec(), meta.to_vec())
            .with_failures(failures.collect())
    }
}

impl Reference {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: Vec::new(),
            tokens: Vec::new(),
            disowned: Vec::new(),
            dropped: 0,
        }
    }

    pub(crate) fn of_key(&self, queue: &Queue, key: &[u8]) -> Option<usize> {
        let of = |record: &Record| record.queue() == queue && record.key() == key;
        self.records.iter().position(of)
    }

    pub(crate) fn of_id(&self, queue: &Queue, id: RecordId) -> Option<usize> {
        let of = |record: &Record| record.queue() == queue && record.id() == id;
        self.records.iter().position(of)
    }

    /// Whether a list must have one before the other. What falls due for ever, or at the same instant
    /// as what has moved, may come in any order.
    pub(crate) fn is_before(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.records[one], &self.records[other]);
        let (Stage::Done { .. } | Stage::Dead { .. }, _) = (a.stage, b.stage) else {
            let tie = a.place() == b.place() && a.place().1 < Duration::MAX;
            let told = !a.moved && !b.moved && one < other;
            return a.place() < b.place() || tie && told;
        };
        a.place() < b.place()
    }

    pub(crate) fn insert(&mut self, now: Duration, new: &NewRecord) -> Inserted {
        let due = now.saturating_add(new.due_in);
        let Some(known) = self.of_key(&new.queue, &new.key) else {
            return self.insert_new(now, due, new);
        };
        let record = &mut self.records[known];
        if record.new.id == new.id {
            return Inserted::Fresh;
        }
        if record.new.rank >= new.rank {
            return Inserted::Duplicate {
                id: record.new.id,
                rank: record.new.rank,
                state: record.state(now),
                differs: record.new.body != new.body,
            };
        }
        record.stage = match record.stage {
            Stage::Waiting { .. } | Stage::Done { .. } | Stage::Dead { .. } => {
                Stage::Waiting { due }
            }
            Stage::Leased { until, .. } => Stage::Leased {
                until,
                next: Some(due),
            },
            Stage::Quarantined { .. } => Stage::Quarantined { at: now },
        };
        record.new = new.clone();
        record.born = now;
        record.attempts = 0;
        record.expiries = 0;
        record.failures.clear();
        record.kept = true;
        record.moved = true;
        Inserted::Upgraded
    }

    fn insert_new(&mut self, now: Duration, due: Duration, new: &NewRecord) -> Inserted {
        let stage = if new.queue.kind() == QueueKind::Quarantine {
            let full: Vec<usize> = (0..self.records.len())
                .filter(|at| self.records[*at].queue() == &new.queue)
                .collect();
            if full.len() >= self.limits.quarantine {
                let oldest = full.into_iter().min_by_key(|at| self.records[*at].place());
                self.records.remove(oldest.unwrap());
                self.dropped += 1;
            }
            Stage::Quarantined { at: now }
        } else {
            let alive = self.records.iter().filter(|record| record.is_alive());
            if alive.count() >= self.limits.capacity {
                return Inserted::Full;
            }
            Stage::Waiting { due }
        };
        let ours = |token: &LeaseToken| owner(&self.tokens, *token) == (&new.queue, &*new.key);
        let mut disowned = self.disowned.iter().map(|(token, _)| *token);
        let before = disowned.rfind(ours);
        self.records.push(Record {
            new: new.clone(),
            born: now,
            stage,
            attempts: 0,
            expiries: 0,
            tokens: Vec::new(),
            token: None,
            settled_by: None,
            before,
            failures: Vec::new(),
            kept: true,
            moved: false,
        });
        Inserted::Fresh
    }

    /// Follows a lease, and says whether the store was free to give it.
    pub(crate) fn lease(
        &mut self,
        now: Duration,
        queue: &Queue,
        max: usize,
        ttl: Duration,
        leased: &[Leased],
    ) {
        assert!(leased.len() <= max, "more than were asked for");
        let mut alone = false;
        for (nth, leased) in leased.iter().enumerate() {
            let next = self.of_key(queue, &leased.key).expect("it is known");
            let first = self.first_due(now, queue);
            assert!(first.contains(&next), "it is due, and nothing before it is");
            assert!(!alone, "a suspect comes alone");
            let unused = |(token, ..): &(LeaseToken, _, _)| *token != leased.lease.token;
            assert!(self.tokens.iter().all(unused), "the token was given before");

            let record = &mut self.records[next];
            record.expiries = record.expired(now);
            record.attempts += 1;
            alone = record.expiries > 0;
            assert!(nth == 0 || !alone, "a suspect comes alone");
            let until = now.saturating_add(ttl);
            record.stage = Stage::Leased { until, next: None };
            record.token = Some(leased.lease.token);
            record.tokens.push(leased.lease.token);
            let key = record.new.key.to_vec();
            self.tokens.push((leased.lease.token, queue.clone(), key));

            let record = &self.records[next];
            let new = &record.new;
            assert_eq!(&leased.lease.queue, queue);
            assert_eq!(leased.lease.id, new.id);
            assert_eq!(leased.rank, new.rank);
            assert_eq!((&leased.body, &leased.meta), (&new.body, &new.meta));
            assert_eq!(leased.attempt, record.attempts);
            assert_eq!(leased.expiries, record.expiries);
            super::told::assert_same_time(leased.age, now - record.born);
        }
        if leased.len() < max && !alone {
            let left = self.first_due(now, queue);
            let suspect = |at: &usize| self.records[*at].expired(now) > 0;
            let stopped = !leased.is_empty() && left.iter().any(suspect);
            assert!(left.is_empty() || stopped, "what is due is left behind");
        }
    }

    /// What may be leased next.
    fn first_due(&self, now: Duration, queue: &Queue) -> Vec<usize> {
        let due: Vec<usize> = (0..self.records.len())
            .filter(|at| self.records[*at].queue() == queue)
            .filter(|at| self.records[*at].due().is_some_and(|due| due <= now))
            .collect();
        let first = |at: &&usize| !due.iter().any(|other| self.is_before(*other, **at));
        due.iter().filter(first).copied().collect()
    }

    /// What the store may answer.
    pub(crate) fn settle(
        &mut self,
        now: Duration,
        token: LeaseToken,
        action: &Action,
    ) -> &'static [Settled] {
        const APPLIED: &[Settled] = &[Settled::Applied];
        const STALE: &[Settled] = &[Settled::Stale];
        /// Once a record is forgotten, it is so: a store need not know what else its last token
        /// did, nor what became of the key. Nothing happens in either case.
        const EITHER: &[Settled] = &[Settled::Applied, Settled::Stale];

        let extends = matches!(action, Action::Extend { .. });
        let disowns = matches!(action, Action::Disown);
        let (queue, key) = owner(&self.tokens, token);
        let disowned = self.disowned.iter().any(|(by, _)| *by == token);
        let Some(at) = self.of_key(queue, key) else {
            return match disowned {
                _ if extends => STALE,
                true if disowns => APPLIED,
                true => EITHER,
                false if disowns => EITHER,
                false => STALE,
            };
        };
        let record = &mut self.records[at];
        if !record.tokens.contains(&token) {
            let forgotten = disowns || disowned || record.before == Some(token);
            return if forgotten && !extends { EITHER } else { STALE };
        }
        if record.token != Some(token) {
            return STALE;
        }
        let Stage::Leased { next, .. } = record.stage else {
            return if extends { STALE } else { APPLIED };
        };
        if let Action::Extend { ttl } = action {
            let until = now.saturating_add(*ttl);
            record.stage = Stage::Leased { until, next };
            return APPLIED;
        }
        record.settled_by = Some(token);
        if let Some(next) = next {
            record.stage = Stage::Waiting { due: next.max(now) };
            return APPLIED;
        }
        match action {
            Action::Done => record.stage = Stage::Done { at: now },
            Action::RetryIn { after, error } => {
                record.fail(now, error);
                let due = now.saturating_add(*after);
                record.stage = Stage::Waiting { due };
            }
            Action::Release { after } => {
                record.attempts -= 1;
                let due = now.saturating_add(*after);
                record.stage = Stage::Waiting { due };
            }
            Action::Dead { reason } => {
                record.fail(now, reason);
                record.stage = Stage::Dead { at: now };
            }
            Action::Disown => {
                self.records.remove(at);
                self.disowned.push((token, now));
            }
            other => panic!("the model knows nothing of {other:?}"),
        }
        APPLIED
    }

    pub(crate) fn purge(&mut self, now: Duration, retention: &Retention) -> Purged {
        let old = |at: Duration, age: Duration| now - at >= age;
        let mut count = 0;
        self.disowned.retain(|(_, at)| !old(*at, retention.keys));
        self.records.retain_mut(|record| {
            let gone = match record.stage {
                Stage::Waiting { .. } | Stage::Leased { .. } => false,
                Stage::Quarantined { at } => old(at, retention.quarantine),
                Stage::Dead { at } => old(at, retention.dead),
                Stage::Done { at } => old(at, retention.keys),
            };
            let body_gone = match record.stage {
                Stage::Done { at } => record.kept && old(at, retention.bodies),
                _ => false,
            };
            record.kept &= !body_gone;
            count += u64::from(gone || body_gone);
            !gone
        });
        Purged::new(count, false)
    }

    pub(crate) fn requeue(&mut self, now: Duration, queue: &Queue, id: RecordId) -> Requeued {
        let Some(at) = self.of_id(queue, id) else {
            return Requeued::Unknown;
        };
        let record = &mut self.records[at];
        match record.state(now) {
            State::Pending => return Requeued::Pending,
            State::Leased => return Requeued::Leased,
            State::Done if !record.kept => return Requeued::Gone,
            State::Done | State::Dead => {}
        }
        record.stage = Stage::Waiting { due: now };
        record.born = now;
        record.attempts = 0;
        record.expiries = 0;
        record.token = None;
        record.settled_by = None;
        record.before = None;
        record.moved = true;
        Requeued::Applied
    }

    pub(crate) fn delete(&mut self, now: Duration, queue: &Queue, id: RecordId) -> Deleted {
        let Some(at) = self.of_id(queue, id) else {
            return Deleted::Unknown;
        };
        if self.records[at].state(now) == State::Leased {
            return Deleted::Leased;
        }
        self.records.remove(at);
        Deleted::Applied
    }

    pub(crate) fn counts(&self, now: Duration, queue: &Queue) -> Counts {
        let mut counts = Counts::default();
        let mut first_due = Duration::MAX;
        for record in self.records.iter().filter(|record| record.queue() == queue) {
            match record.state(now) {
                State::Pending => counts.pending += 1,
                State::Leased => counts.leased += 1,
                State::Done => counts.done += 1,
                State::Dead => counts.dead += 1,
            }
            if record.state(now) == State::Pending {
                first_due = first_due.min(record.place().1);
            }
        }
        counts.oldest_due = now.checked_sub(first_due);
        if queue.kind() == QueueKind::Quarantine {
            counts.dropped = self.dropped;
        }
        counts
    }
}

/// The key that a token was given for.
fn owner(tokens: &[(LeaseToken, Queue, Vec<u8>)], token: LeaseToken) -> (&Queue, &[u8]) {
    let given = tokens.iter().find(|(given, ..)| *given == token);
    let (_, queue, key) = given.expect("only tokens that were given are settled");
    (queue, key)
}
