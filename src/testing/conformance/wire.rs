//! Calls and answers as lines of JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::{
    Action, Found, Inserted, Lease, LeaseToken, Leased, NewRecord, Purged, Queue, QueueKind,
    RecordId, Retention, Settled, Settlement, State, Store, StoreError, StoreErrorKind,
};

#[derive(Serialize, Deserialize)]
pub(super) enum Call {
    Insert(Vec<WireRecord>),
    Lease(WireQueue, usize, Duration),
    Settle(Vec<(WireLease, WireAction)>),
    Find(WireQueue, Vec<u8>),
    Purge([Duration; 4]),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Inserted(Vec<WireInserted>),
    Leased(Vec<WireLeased>),
    Settled(Vec<u8>),
    Found(Option<WireFound>),
    Purged(u64, bool),
    Failed { rejected: bool, text: String },
}

/// The endpoint and the word for the kind.
#[derive(Serialize, Deserialize)]
pub(super) struct WireQueue(String, String);

#[derive(Serialize, Deserialize)]
pub(super) struct WireRecord {
    id: [u8; 16],
    queue: WireQueue,
    key: Vec<u8>,
    rank: u16,
    body: Vec<u8>,
    meta: Vec<u8>,
    due_in: Duration,
}

/// The queue, the id and the token.
#[derive(Serialize, Deserialize)]
pub(super) struct WireLease(WireQueue, [u8; 16], [u8; 16]);

#[derive(Serialize, Deserialize)]
pub(super) enum WireAction {
    Done,
    RetryIn(Duration, String),
    Release(Duration),
    Dead(String),
    Disown,
    Extend(Duration),
}

#[derive(Serialize, Deserialize)]
pub(super) enum WireInserted {
    Fresh,
    Upgraded,
    Duplicate([u8; 16], u16, u8, bool),
    Full,
    Busy,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireLeased {
    id: [u8; 16],
    token: [u8; 16],
    key: Vec<u8>,
    rank: u16,
    body: Vec<u8>,
    meta: Vec<u8>,
    attempt: u32,
    expiries: u32,
    age: Duration,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireFound {
    id: [u8; 16],
    rank: u16,
    state: u8,
    settled_by: Option<[u8; 16]>,
    payload: Option<(Vec<u8>, Vec<u8>)>,
    error: Option<String>,
}

const STATES: [State; 4] = [State::Pending, State::Leased, State::Done, State::Dead];
const SETTLED: [Settled; 3] = [Settled::Applied, Settled::Stale, Settled::Busy];

/// The place of a value among all of its kind.
fn number<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let place = all.iter().position(|other| other == value);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

fn nth<T: Copy>(all: &[T], number: u8) -> Result<T, StoreError> {
    let value = all.get(usize::from(number)).copied();
    value.ok_or_else(|| StoreError::rejected("an answer in other words"))
}

impl WireQueue {
    fn of(queue: &Queue) -> Self {
        Self(
            queue.endpoint().to_owned(),
            queue.kind().as_str().to_owned(),
        )
    }

    fn read(self) -> Queue {
        let kind = QueueKind::from_word(&self.1).unwrap_or(QueueKind::Events);
        Queue::new(self.0, kind)
    }
}

impl Call {
    pub(super) fn insert(records: &[NewRecord]) -> Self {
        let wire = |record: &NewRecord| WireRecord {
            id: record.id.to_bytes(),
            queue: WireQueue::of(&record.queue),
            key: record.key.to_vec(),
            rank: record.rank,
            body: record.body.to_vec(),
            meta: record.meta.to_vec(),
            due_in: record.due_in,
        };
        Self::Insert(records.iter().map(wire).collect())
    }

    pub(super) fn lease(queue: &Queue, max: usize, ttl: Duration) -> Self {
        Self::Lease(WireQueue::of(queue), max, ttl)
    }

    pub(super) fn settle(settlements: &[Settlement]) -> Self {
        let wire = |settlement: &Settlement| {
            let Settlement { lease, action } = settlement;
            let (id, token) = (lease.id.to_bytes(), lease.token.to_bytes());
            let action = match action.clone() {
                Action::Done => WireAction::Done,
                Action::RetryIn { after, error } => WireAction::RetryIn(after, error),
                Action::Release { after } => WireAction::Release(after),
                Action::Dead { reason } => WireAction::Dead(reason),
                Action::Disown => WireAction::Disown,
                Action::Extend { ttl } => WireAction::Extend(ttl),
            };
            (WireLease(WireQueue::of(&lease.queue), id, token), action)
        };
        Self::Settle(settlements.iter().map(wire).collect())
    }

    pub(super) fn find(queue: &Queue, key: &[u8]) -> Self {
        Self::Find(WireQueue::of(queue), key.to_vec())
    }

    pub(super) fn purge(retention: &Retention) -> Self {
        Self::Purge([
            retention.bodies,
            retention.keys,
            retention.dead,
            retention.quarantine,
        ])
    }

    pub(super) async fn carry_out(self, store: &impl Store) -> Answer {
        let answer = match self {
            Self::Insert(records) => {
                let records: Vec<_> = records.into_iter().map(WireRecord::read).collect();
                store.insert(&records).await.map(Answer::of_inserted)
            }
            Self::Lease(queue, max, ttl) => {
                let leased = store.lease(&queue.read(), max, ttl).await;
                leased.map(Answer::of_leased)
            }
            Self::Settle(settlements) => {
                let read = |(lease, action): (WireLease, WireAction)| {
                    Settlement::new(lease.read(), action.read())
                };
                let settlements: Vec<_> = settlements.into_iter().map(read).collect();
                let settled = store.settle(&settlements).await;
                settled.map(|settled| {
                    Answer::Settled(settled.iter().map(|one| number(&SETTLED, one)).collect())
                })
            }
            Self::Find(queue, key) => {
                let found = store.find(&queue.read(), &key).await;
                found.map(|found| Answer::Found(found.map(WireFound::of)))
            }
            Self::Purge([bodies, keys, dead, quarantine]) => {
                let retention = Retention::default()
                    .with_bodies(bodies)
                    .with_keys(keys)
                    .with_dead(dead)
                    .with_quarantine(quarantine);
                let purged = store.purge(&retention).await;
                purged.map(|purged| Answer::Purged(purged.records, purged.more))
            }
        };
        answer.unwrap_or_else(|error| Answer::Failed {
            rejected: error.kind() == StoreErrorKind::Rejected,
            text: match std::error::Error::source(&error) {
                Some(source) => source.to_string(),
                None => error.to_string(),
            },
        })
    }
}

impl WireRecord {
    fn read(self) -> NewRecord {
        let mut record = NewRecord::new(self.queue.read(), self.key, self.body)
            .with_rank(self.rank)
            .with_meta(self.meta)
            .with_due_in(self.due_in);
        record.id = RecordId::from_bytes(self.id);
        record
    }
}

impl WireLease {
    fn read(self) -> Lease {
        let (id, token) = (RecordId::from_bytes(self.1), LeaseToken::from_bytes(self.2));
        Lease::new(self.0.read(), id, token)
    }
}

impl WireAction {
    fn read(self) -> Action {
        match self {
            Self::Done => Action::Done,
            Self::RetryIn(after, error) => Action::RetryIn { after, error },
            Self::Release(after) => Action::Release { after },
            Self::Dead(reason) => Action::Dead { reason },
            Self::Disown => Action::Disown,
            Self::Extend(ttl) => Action::Extend { ttl },
        }
    }
}

impl WireFound {
    fn of(found: Found) -> Self {
        Self {
            id: found.id.to_bytes(),
            rank: found.rank,
            state: number(&STATES, &found.state),
            settled_by: found.settled_by.map(LeaseToken::to_bytes),
            payload: found
                .body
                .zip(found.meta)
                .map(|(body, meta)| (body.to_vec(), meta.to_vec())),
            error: found.error,
        }
    }

    fn read(self) -> Result<Found, StoreError> {
        let id = RecordId::from_bytes(self.id);
        let found = Found::new(id, self.rank, nth(&STATES, self.state)?)
            .with_settled_by(self.settled_by.map(LeaseToken::from_bytes))
            .with_error(self.error.as_deref());
        Ok(match self.payload {
            Some((body, meta)) => found.with_payload(body, meta),
            None => found,
        })
    }
}

impl Answer {
    fn of_inserted(inserted: Vec<Inserted>) -> Self {
        let wire = |inserted| match inserted {
            Inserted::Fresh => WireInserted::Fresh,
            Inserted::Upgraded => WireInserted::Upgraded,
            Inserted::Duplicate {
                id,
                rank,
                state,
                differs,
            } => WireInserted::Duplicate(id.to_bytes(), rank, number(&STATES, &state), differs),
            Inserted::Full => WireInserted::Full,
            Inserted::Busy => WireInserted::Busy,
        };
        Self::Inserted(inserted.into_iter().map(wire).collect())
    }

    fn of_leased(leased: Vec<Leased>) -> Self {
        let wire = |leased: Leased| WireLeased {
            id: leased.lease.id.to_bytes(),
            token: leased.lease.token.to_bytes(),
            key: leased.key.to_vec(),
            rank: leased.rank,
            body: leased.body.to_vec(),
            meta: leased.meta.to_vec(),
            attempt: leased.attempt,
            expiries: leased.expiries,
            age: leased.age,
        };
        Self::Leased(leased.into_iter().map(wire).collect())
    }

    /// What the store failed with, over there.
    pub(super) fn check(self) -> Result<Self, StoreError> {
        match self {
            Self::Failed { rejected, text } if rejected => Err(StoreError::rejected(text)),
            Self::Failed { text, .. } => Err(StoreError::unavailable(text)),
            answer => Ok(answer),
        }
    }

    pub(super) fn inserted(self) -> Result<Vec<Inserted>, StoreError> {
        let Self::Inserted(inserted) = self else {
            return Err(another());
        };
        let read = |inserted| {
            Ok(match inserted {
                WireInserted::Fresh => Inserted::Fresh,
                WireInserted::Upgraded => Inserted::Upgraded,
                WireInserted::Duplicate(id, rank, state, differs) => Inserted::Duplicate {
                    id: RecordId::from_bytes(id),
                    rank,
                    state: nth(&STATES, state)?,
                    differs,
                },
                WireInserted::Full => Inserted::Full,
                WireInserted::Busy => Inserted::Busy,
            })
        };
        inserted.into_iter().map(read).collect()
    }

    pub(super) fn leased(self, queue: &Queue) -> Result<Vec<Leased>, StoreError> {
        let Self::Leased(leased) = self else {
            return Err(another());
        };
        let read = |wire: WireLeased| {
            let (id, token) = (
                RecordId::from_bytes(wire.id),
                LeaseToken::from_bytes(wire.token),
            );
            let lease = Lease::new(queue.clone(), id, token);
            let (key, body, meta) = (wire.key.into(), wire.body.into(), wire.meta.into());
            Leased::new(lease, key, wire.rank, body, meta).with_history(
                wire.attempt,
                wire.expiries,
                wire.age,
            )
        };
        Ok(leased.into_iter().map(read).collect())
    }

    pub(super) fn settled(self) -> Result<Vec<Settled>, StoreError> {
        let Self::Settled(settled) = self else {
            return Err(another());
        };
        settled.into_iter().map(|one| nth(&SETTLED, one)).collect()
    }

    pub(super) fn found(self) -> Result<Option<Found>, StoreError> {
        let Self::Found(found) = self else {
            return Err(another());
        };
        found.map(WireFound::read).transpose()
    }

    pub(super) fn purged(self) -> Result<Purged, StoreError> {
        let Self::Purged(records, more) = self else {
            return Err(another());
        };
        Ok(Purged::new(records, more))
    }
}

fn another() -> StoreError {
    StoreError::rejected("the answer to another call")
}
