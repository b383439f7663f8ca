//! A memory store that was broken on purpose, in one of many ways.

use std::{
    collections::{HashMap, HashSet},
    slice,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Mutex as AsyncMutex;
use tower_callback::{
    clock::Clock,
    store::{
        Action, Found, Inbox, Inserted, Inspect, Lease, LeaseToken, Leased, MemoryStore, NewRecord,
        Purged, Queue, QueueKind, RecordId, Retention, Settled, Settlement, State, Store,
        StoreError, inspect::FailedAttempt,
    },
    testing::conformance::{Cut, Fixture, Process},
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    SameIdIsADuplicate,
    DuplicatesAreFresh,
    RepeatsRevive,
    DiffersIsNotTold,
    BatchForgetsItself,
    AnswersInReverse,
    KeysAreJoined,
    KeysAreCollated,
    QuarantineIsLeased,
    FullForgetsDuplicates,
    FullCannotSettle,
    FindForgetsTheToken,
    FindSaysDoneEarly,
    KeysAreText,
    BodiesAreCut,
    UpgradeKeepsAttempts,
    UpgradeLeavesWhatIsSettled,
    LastOneWins,
    UpgradeIsDueAtOnce,
    SettlementEndsNewerContent,
    UpgradeForgetsItsDelay,
    TokenIsTheRecord,
    LeaseIsOnlyALook,
    ReleaseCounts,
    ExpiryIsNotCounted,
    SuspectsComeTogether,
    ExtendIsIgnored,
    NewestFirst,
    OldestFirst,
    DelaysAreForgotten,
    AgeIsATimeOfDay,
    ExpiredIsStale,
    FencingIsIgnored,
    RepeatsAreStale,
    OneStaleSpoilsAll,
    SettlingSkipsWhatOthersLookAt,
    DisownIsDone,
    PurgeCountsFromInsert,
    PurgeTakesPending,
    BodiesAreKept,
    PurgeReadsThenDeletes,
    ChecksThenActs,
    LocksInOrderOfTheBatch,
    ExtendIsBusy,
    LosesSome,
    LeasesSomeTwice,
    InsertsInTwoSteps,
    ReopensEmpty,
    ReopeningEndsLeases,
    AnswersForWhatIsOnItsWay,
    ExpiredCountsAsLeased,
    LaterCountsAsDue,
    QueuesAreTwice,
    ListsAllQueues,
    ListsOldestFirst,
    PagesAreNumbered,
    CursorsAreTrusted,
    LooksElsewhere,
    BodiesAreNotLookedAt,
    FailuresAreForgotten,
    FailuresAreOldestFirst,
    FailuresSurviveUpgrades,
    RequeueKeepsAttempts,
    RequeueKeepsTokens,
    RequeueTakesLeased,
    RequeueIsInsert,
    RequeueAnswersInReverse,
    EveryRequeueApplies,
    DeletionIsALook,
    DeletionTakesLeased,
    BadRecordsAreUnavailable,
    RejectedBatchesAreRemembered,
    TokensAreCounted,
    EachReplicaIsAlone,
    AnswersBeforeItWrites,
    LeasesEndWithTheProcess,
    WritesInTwoSteps,
    CallersClockCounts,
    LostAnswersAreRejected,
    NeverConnectsAgain,
    RetriesUnderNewIds,
    CompletesAtOnce,
    CompletesTwice,
    CompletesWhatIsLost,
    HeldRowsAreWaitedFor,
    HeldRowsAreIgnored,
}

pub(crate) struct Flawed(pub(super) Flaw);

impl Fixture for Flawed {
    type Store = FlawedStore;

    async fn open(&self) -> FlawedStore {
        FlawedStore::new(self.0, MemoryStore::with_clock(&Clock::manual()))
    }

    async fn open_bounded(&self, records: usize) -> Option<FlawedStore> {
        let store = MemoryStore::with_clock(&Clock::manual()).with_capacity(records);
        Some(FlawedStore::new(self.0, store))
    }

    async fn reopen(&self, store: FlawedStore) -> Option<FlawedStore> {
        let held: Vec<_> = store.notes().leases.values().cloned().collect();
        if self.0 == Flaw::ReopeningEndsLeases {
            for lease in held {
                let after = Duration::ZERO;
                let release = Settlement::new(lease, Action::Release { after });
                store.store.settle(&[release]).await.unwrap();
            }
        }
        Some(match self.0 {
            Flaw::ReopensEmpty => self.open().await,
            flaw => FlawedStore::new(flaw, store.store.clone()),
        })
    }

    async fn open_again(&self, store: &FlawedStore) -> Option<FlawedStore> {
        Some(match self.0 {
            Flaw::EachReplicaIsAlone => self.open().await,
            flaw => FlawedStore::new(flaw, store.store.clone()),
        })
    }

    async fn process(&self, store: &FlawedStore, days_off: i64) -> Option<Process> {
        let mut there = self.open_again(store).await?;
        there.days_off = days_off;
        there.is_process = true;
        Some(Process::pretend(there))
    }

    async fn cut(&self, store: &FlawedStore, when: Option<Cut>) -> bool {
        store.notes().cut = when;
        true
    }
}

/// Clones are the same store.
#[derive(Clone)]
pub(crate) struct FlawedStore {
    pub(crate) flaw: Flaw,
    pub(crate) store: MemoryStore,
    notes: Arc<Mutex<Notes>>,
    pub(crate) days_off: i64,
    pub(crate) is_process: bool,
}

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) cut: Option<Cut>,
    pub(crate) cut_before: bool,
    pub(crate) unwritten: Vec<NewRecord>,
    pub(crate) held: HashSet<Bytes>,
    pub(crate) completed: HashSet<LeaseToken>,
    tokens: u64,
    inserts: usize,
    pub(crate) ids: HashSet<RecordId>,
    attempts: HashMap<Bytes, u32>,
    pub(crate) keys: HashMap<LeaseToken, Bytes>,
    /// The last lease of a key.
    pub(crate) leases: HashMap<Bytes, Lease>,
    pub(crate) failures: HashMap<Bytes, Vec<FailedAttempt>>,
    settled: HashSet<LeaseToken>,
    /// How many look for what is due.
    looking: usize,
    first_insert: Option<Duration>,
    full: bool,
    on_their_way: HashMap<Bytes, RecordId>,
    locks: HashMap<Bytes, Arc<AsyncMutex<()>>>,
}

impl FlawedStore {
    fn new(flaw: Flaw, store: MemoryStore) -> Self {
        Self {
            flaw,
            store,
            notes: Arc::default(),
            days_off: 0,
            is_process: false,
        }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.store.manual_clock().unwrap().elapsed()
    }

    /// Where the store keeps a key.
    fn place(&self, queue: &Queue, key: &[u8]) -> (Queue, Bytes) {
        match self.flaw {
            Flaw::KeysAreJoined => {
                let joined = [queue.endpoint().as_bytes(), b":", key].concat();
                (Queue::new("all", queue.kind()), joined.into())
            }
            Flaw::KeysAreCollated => (queue.clone(), key.to_ascii_lowercase().into()),
            Flaw::KeysAreText => {
                let text = String::from_utf8_lossy(key).into_owned();
                (queue.clone(), text.into())
            }
            Flaw::QuarantineIsLeased if queue.kind() == QueueKind::Quarantine => {
                let endpoint = format!("{} quarantine", queue.endpoint());
                (Queue::tracked(endpoint), Bytes::copy_from_slice(key))
            }
            _ => (queue.clone(), Bytes::copy_from_slice(key)),
        }
    }

    async fn know(&self, record: &NewRecord) -> Option<Found> {
        self.store.find(&record.queue, &record.key).await.unwrap()
    }

    async fn insert_one(&self, original: &NewRecord, batch: &[RecordId]) -> Inserted {
        let mut record = original.clone();
        (record.queue, record.key) = self.place(&record.queue, &record.key);
        let known = self.know(&record).await;
        let is_new = {
            let mut notes = self.notes();
            notes.inserts += 1;
            notes.first_insert.get_or_insert(self.elapsed());
            notes.ids.insert(record.id)
        };
        let is_held = self.notes().held.contains(&record.key);
        if is_held && known.as_ref().is_some_and(|known| known.rank < record.rank) {
            match self.flaw {
                Flaw::HeldRowsAreIgnored => {}
                Flaw::HeldRowsAreWaitedFor => std::future::pending().await,
                _ => return Inserted::Busy,
            }
        }
        match self.flaw {
            Flaw::BodiesAreCut => record.body.truncate(64 * 1024),
            Flaw::DelaysAreForgotten => record.due_in = Duration::ZERO,
            Flaw::UpgradeForgetsItsDelay if known.is_some() => record.due_in = Duration::ZERO,
            Flaw::LastOneWins => record.rank = known.as_ref().map_or(0, |known| known.rank + 1),
            Flaw::RepeatsRevive if known.as_ref().is_some_and(|k| k.state == State::Done) => {
                let mut revived = record.clone();
                revived.rank += 1;
                self.store.insert(&[revived]).await.unwrap();
            }
            Flaw::UpgradeLeavesWhatIsSettled => {
                if let Some(known) = &known
                    && known.rank < record.rank
                    && matches!(known.state, State::Done | State::Dead)
                {
                    return Inserted::Duplicate {
                        id: known.id,
                        rank: known.rank,
                        state: known.state,
                        differs: true,
                    };
                }
            }
            Flaw::LosesSome if self.notes().inserts.is_multiple_of(97) => return Inserted::Fresh,
            Flaw::ChecksThenActs if known.is_none() => {
                tokio::task::yield_now().await;
                self.store.insert(&[record]).await.unwrap();
                return Inserted::Fresh;
            }
            Flaw::AnswersForWhatIsOnItsWay if known.is_none() => {
                let other = self.notes().on_their_way.get(&record.key).copied();
                if let Some(id) = other.filter(|id| *id != record.id) {
                    return Inserted::Duplicate {
                        id,
                        rank: record.rank,
                        state: State::Pending,
                        differs: false,
                    };
                }
                let key = record.key.clone();
                self.notes().on_their_way.insert(key, record.id);
                tokio::task::yield_now().await;
            }
            Flaw::WritesInTwoSteps if known.is_none() && self.is_process => {
                let mut half = record.clone();
                half.id = RecordId::random();
                self.store.insert(slice::from_ref(&half)).await.unwrap();
                tokio::time::sleep(Duration::from_micros(500)).await;
                self.store.delete(&half.queue, &[half.id]).await.unwrap();
            }
            Flaw::RejectedBatchesAreRemembered if !is_new && known.is_none() => {
                return Inserted::Fresh;
            }
            Flaw::InsertsInTwoSteps => {
                if !is_new {
                    return Inserted::Fresh;
                }
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        let answer = self.store.insert(&[record.clone()]).await.unwrap()[0];
        match (self.flaw, answer) {
            (Flaw::SameIdIsADuplicate, Inserted::Fresh) if !is_new => Inserted::Duplicate {
                id: record.id,
                rank: record.rank,
                state: State::Pending,
                differs: false,
            },
            (Flaw::DuplicatesAreFresh, Inserted::Duplicate { .. }) => Inserted::Fresh,
            (Flaw::BatchForgetsItself, Inserted::Duplicate { id, .. }) if batch.contains(&id) => {
                Inserted::Fresh
            }
            (
                Flaw::DiffersIsNotTold,
                Inserted::Duplicate {
                    id, rank, state, ..
                },
            ) => Inserted::Duplicate {
                id,
                rank,
                state,
                differs: false,
            },
            (Flaw::UpgradeIsDueAtOnce, Inserted::Upgraded) => {
                let lease = self.notes().leases.get(&record.key).cloned();
                if let Some(lease) = lease {
                    let after = Duration::ZERO;
                    let release = Settlement::new(lease, Action::Release { after });
                    self.store.settle(&[release]).await.unwrap();
                }
                answer
            }
            _ => answer,
        }
    }

    async fn settle_one(&self, settlement: &Settlement) -> Settled {
        let mut settlement = settlement.clone();
        let key = self.notes().keys.get(&settlement.lease.token).cloned();
        let last = key
            .as_ref()
            .and_then(|key| self.notes().leases.get(key).cloned());
        let (queue, _) = self.place(&settlement.lease.queue, b"");
        let found = match &key {
            Some(key) => self.store.find(&queue, key).await.unwrap(),
            None => None,
        };
        let extends = matches!(settlement.action, Action::Extend { .. });
        match self.flaw {
            Flaw::TokenIsTheRecord | Flaw::FencingIsIgnored | Flaw::TokensAreCounted => {
                if let Some(last) = &last {
                    settlement.lease = last.clone();
                }
            }
            Flaw::ReleaseCounts => {
                if let Action::Release { after } = settlement.action {
                    let error = String::new();
                    settlement.action = Action::RetryIn { after, error };
                }
            }
            Flaw::DisownIsDone if settlement.action == Action::Disown => {
                settlement.action = Action::Done;
            }
            Flaw::SettlingSkipsWhatOthersLookAt if self.notes().looking > 0 => {
                return Settled::Stale;
            }
            _ if extends && key.is_some_and(|key| self.notes().held.contains(&key)) => {
                return Settled::Busy;
            }
            Flaw::ExtendIsIgnored if extends => return Settled::Applied,
            Flaw::ExtendIsBusy if extends && self.notes().leases.len() > 1 => {
                return Settled::Busy;
            }
            Flaw::ExpiredIsStale
                if found
                    .as_ref()
                    .is_some_and(|found| found.state == State::Pending) =>
            {
                return Settled::Stale;
            }
            Flaw::RequeueKeepsTokens if !self.notes().settled.insert(settlement.lease.token) => {
                return Settled::Applied;
            }
            Flaw::RepeatsAreStale
                if !extends && !self.notes().settled.insert(settlement.lease.token) =>
            {
                return Settled::Stale;
            }
            _ => {}
        }
        let newer = found.is_some_and(|found| found.id != settlement.lease.id);
        let lease = settlement.lease.clone();
        let settled = self.store.settle(&[settlement]).await.unwrap()[0];
        if self.has(Flaw::SettlementEndsNewerContent) && newer && settled == Settled::Applied {
            let leased = self.store.lease(&lease.queue, 1, Duration::MAX).await;
            for leased in leased.unwrap() {
                let done = Settlement::new(leased.lease, Action::Done);
                self.store.settle(&[done]).await.unwrap();
            }
        }
        settled
    }
}

impl FlawedStore {
    pub(crate) async fn insert_there(
        &self,
        records: &[NewRecord],
    ) -> Result<Vec<Inserted>, StoreError> {
        let mut held = Vec::new();
        if self.has(Flaw::LocksInOrderOfTheBatch) {
            for record in records {
                let lock = Arc::clone(self.notes().locks.entry(record.key.clone()).or_default());
                // Twice the same key in one batch is another flaw.
                held.push(lock.lock_owned().await);
                tokio::task::yield_now().await;
            }
        }
        let batch: Vec<_> = records.iter().map(|record| record.id).collect();
        let mut answers = Vec::new();
        for record in records {
            answers.push(self.insert_one(record, &batch).await);
        }
        let full = answers.contains(&Inserted::Full);
        if full {
            self.notes().full = true;
        }
        if full && self.has(Flaw::FullForgetsDuplicates) {
            answers.fill(Inserted::Full);
        }
        if self.has(Flaw::AnswersInReverse) {
            answers.reverse();
        }
        Ok(answers)
    }

    pub(crate) async fn lease_there(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let (queue, _) = self.place(queue, b"");
        if self.has(Flaw::SettlingSkipsWhatOthersLookAt) {
            self.notes().looking += 1;
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            self.notes().looking -= 1;
        }
        let wanted = if self.has(Flaw::OldestFirst) {
            1000
        } else {
            max
        };
        let mut leased = self.store.lease(&queue, wanted, ttl).await?;
        match self.flaw {
            Flaw::SuspectsComeTogether => {
                while leased.len() < max {
                    let more = self.store.lease(&queue, max - leased.len(), ttl).await?;
                    if more.is_empty() {
                        break;
                    }
                    leased.extend(more);
                }
            }
            Flaw::NewestFirst => leased.reverse(),
            Flaw::OldestFirst => {
                leased.sort_by_key(|leased| std::cmp::Reverse(leased.age));
                for rest in leased.drain(max.min(leased.len())..) {
                    let after = Duration::ZERO;
                    let release = Settlement::new(rest.lease, Action::Release { after });
                    self.store.settle(&[release]).await?;
                }
            }
            Flaw::LeaseIsOnlyALook => {
                for leased in &leased {
                    let after = Duration::ZERO;
                    let release = Action::Release { after };
                    let release = Settlement::new(leased.lease.clone(), release);
                    self.store.settle(&[release]).await?;
                }
            }
            Flaw::LeasesSomeTwice if leased.len() > 3 => {
                let again = leased[0].clone();
                leased[1] = again;
            }
            _ => {}
        }
        let mut notes = self.notes();
        for leased in &mut leased {
            let attempt = notes.attempts.entry(leased.key.clone()).or_default();
            *attempt += 1;
            match self.flaw {
                Flaw::UpgradeKeepsAttempts | Flaw::RequeueKeepsAttempts => {
                    leased.attempt = *attempt;
                }
                Flaw::ExpiryIsNotCounted => leased.expiries = 0,
                Flaw::AgeIsATimeOfDay => leased.age = std::time::UNIX_EPOCH.elapsed().unwrap(),
                _ => {}
            }
            notes
                .leases
                .insert(leased.key.clone(), leased.lease.clone());
            if self.has(Flaw::TokenIsTheRecord) {
                leased.lease.token = LeaseToken::from_bytes(leased.lease.id.to_bytes());
            }
            if self.has(Flaw::TokensAreCounted) {
                notes.tokens += 1;
                leased.lease.token = LeaseToken::from_bytes(u128::from(notes.tokens).to_be_bytes());
            }
            notes.keys.insert(leased.lease.token, leased.key.clone());
        }
        Ok(leased)
    }

    pub(crate) async fn settle_there(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<Settled>, StoreError> {
        if self.has(Flaw::FullCannotSettle) && self.notes().full {
            return Err(StoreError::unavailable("no space left"));
        }
        let mut answers = Vec::new();
        for settlement in settlements {
            answers.push(self.settle_one(settlement).await);
        }
        if self.has(Flaw::OneStaleSpoilsAll) && answers.contains(&Settled::Stale) {
            answers.fill(Settled::Stale);
        }
        Ok(answers)
    }

    pub(crate) async fn find_there(
        &self,
        queue: &Queue,
        key: &[u8],
    ) -> Result<Option<Found>, StoreError> {
        let (queue, key) = self.place(queue, key);
        let mut found = self.store.find(&queue, &key).await?;
        if let Some(found) = &mut found {
            match self.flaw {
                Flaw::FindForgetsTheToken => found.settled_by = None,
                Flaw::FindSaysDoneEarly if found.state == State::Leased => {
                    found.state = State::Done;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    pub(crate) async fn purge_there(&self, retention: &Retention) -> Result<Purged, StoreError> {
        let mut retention = *retention;
        match self.flaw {
            Flaw::PurgeCountsFromInsert => {
                let inserted = self.notes().first_insert.unwrap_or_default();
                if self.elapsed() - inserted >= retention.keys {
                    retention = retention.with_keys(Duration::ZERO);
                }
            }
            Flaw::PurgeTakesPending => {
                for queue in [Queue::events("conformance")] {
                    let leased = self.store.lease(&queue, 1000, Duration::MAX).await?;
                    for leased in leased {
                        let disown = Settlement::new(leased.lease, Action::Disown);
                        self.store.settle(&[disown]).await?;
                    }
                }
            }
            Flaw::PurgeReadsThenDeletes => {
                let queue = Queue::events("conformance");
                let known: Vec<_> = self.notes().leases.keys().cloned().collect();
                let mut doomed = HashSet::new();
                for key in known {
                    let found = self.store.find(&queue, &key).await?;
                    if found.is_some_and(|found| found.state == State::Done) {
                        doomed.insert(key);
                    }
                }
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                for leased in self.store.lease(&queue, 1000, Duration::MAX).await? {
                    let after = Duration::ZERO;
                    let action = if doomed.contains(&leased.key) {
                        Action::Disown
                    } else {
                        Action::Release { after }
                    };
                    let settlement = Settlement::new(leased.lease, action);
                    self.store.settle(&[settlement]).await?;
                }
            }
            Flaw::BodiesAreKept => retention = retention.with_bodies(Duration::MAX),
            _ => {}
        }
        self.store.purge(&retention).await
    }
}
