//! A store of one's own: events in a [redb](https://docs.rs/redb) file.
//!
//! Every call is one transaction, and redb has one writer at a time: that alone keeps half of the
//! contract. For the other half, each record stands in one list, under the time at which it is due.

use std::{path::Path, sync::Arc, time::Duration};

use redb::{Database, ReadableTable, Table, TableDefinition as Definition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_callback::{BoxError, store::*};

#[derive(Clone)]
pub(crate) struct RedbStore(Arc<Database>);

type Bytes = &'static [u8];

/// All that is in the file, in one transaction.
struct Tables<'t> {
    /// A record as JSON, its meta and its body, by the hash of queue and key.
    records: Table<'t, u64, (Bytes, Bytes, Bytes)>,
    /// By list, time and hash. What a queue's list has can be leased, the other lists are purged.
    lists: Table<'t, (&'static str, u64, u64), ()>,
    /// The latest time that was written, in nanoseconds.
    clock: Table<'t, (), u64>,
    now: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    key: Vec<u8>,
    id: [u8; 16],
    rank: u16,
    /// Of the body, which is forgotten before the key.
    digest: u64,
    /// The queue's name, or `quarantine`, `done`, `remembered` (done, without the body) or `dead`.
    list: String,
    /// When it is due, its lease ends, or it was settled.
    at: u64,
    /// Until it is settled or leased again, however late that is.
    leased: bool,
    /// When this content is due, if it came while the one before it was leased.
    newer: Option<u64>,
    born: u64,
    attempt: u32,
    expiries: u32,
    token: Option<[u8; 16]>,
    settled_by: Option<[u8; 16]>,
    error: Option<String>,
    /// Meta and body, apart from the rest.
    #[serde(skip)]
    payload: (Vec<u8>, Vec<u8>),
}

impl RedbStore {
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, BoxError> {
        Ok(Self(Arc::new(Database::create(path)?)))
    }

    /// One transaction, on a thread that may block. It ends also when its caller was dropped.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.0);
        let transaction = move || -> Result<T, BoxError> {
            let transaction = database.begin_write()?;
            let clock: Table<'_, (), u64> = transaction.open_table(Definition::new("clock"))?;
            // A clock that was set back must not keep everything waiting.
            let latest = clock.get(())?.map_or(0, |latest| latest.value());
            let mut tables = Tables {
                records: transaction.open_table(Definition::new("records"))?,
                lists: transaction.open_table(Definition::new("lists"))?,
                now: latest.max(later(0, &std::time::UNIX_EPOCH.elapsed()?)),
                clock,
            };
            let (begun, answer) = (tables.now, work(&mut tables)?);
            if tables.now > begun {
                tables.clock.insert((), tables.now)?;
                drop(tables);
                transaction.commit()?; // to the disk: only then there is an answer
            }
            Ok(answer)
        };
        let done = tokio::task::spawn_blocking(transaction).await;
        let done = done.unwrap_or_else(|panicked| Err(panicked.into()));
        done.map_err(StoreError::unavailable)
    }
}

impl Inbox for RedbStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }
    async fn insert(&self, new: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let new = new.to_vec();
        let work = move |t: &mut Tables<'_>| new.iter().map(|one| t.insert(one)).collect();
        self.call(work).await
    }
}

impl Store for RedbStore {
    async fn lease(&self, q: &Queue, max: usize, ttl: Duration) -> Result<Vec<Leased>, StoreError> {
        let queue = q.clone();
        self.call(move |t| {
            let due = t.until(&name(&queue), t.now, max)?;
            let expired = |record: &Record| record.leased && record.newer.is_none();
            // A suspect, whose handler may be what ends the process, goes alone when its turn comes.
            let is_suspect = |(_, record): &(u64, Record)| expired(record) || record.expiries > 0;
            let first = due.iter().position(is_suspect);
            let mut leased = Vec::new();
            for (hash, mut record) in due.into_iter().take(first.unwrap_or(max).max(1)) {
                record.expiries += u32::from(expired(&record));
                // The hash leads back to the record, and the rest makes that no token comes again.
                let mut token = RecordId::random().to_bytes();
                token[..8].copy_from_slice(&hash.to_be_bytes());
                (record.token, record.newer, record.leased) = (Some(token), None, true);
                (record.attempt, record.at) = (record.attempt + 1, later(t.now, &ttl));
                t.put(hash, Some(&record))?;
                let id = RecordId::from_bytes(record.id);
                let lease = Lease::new(queue.clone(), id, LeaseToken::from_bytes(token));
                let (meta, body) = record.payload;
                let age = Duration::from_nanos(t.now - record.born);
                let (key, rank) = (record.key.into(), record.rank);
                let one = Leased::new(lease, key, rank, body.into(), meta.into());
                leased.push(one.with_history(record.attempt, record.expiries, age));
            }
            Ok(leased)
        })
        .await
    }
    async fn settle(&self, all: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let all = all.to_vec();
        let work = move |t: &mut Tables<'_>| all.iter().map(|one| t.settle(one)).collect();
        self.call(work).await
    }
    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        let hash = hash(queue, key);
        self.call(move |t| Ok(t.get(hash)?.map(|record| found(record, t.now))))
            .await
    }
    /// What is settled, in steps of 500: first what goes as a whole, then bodies.
    async fn purge(&self, r: &Retention) -> Result<Purged, StoreError> {
        let lists = ["remembered", "done", "dead", "quarantine", "done"];
        let ages = [r.keys, r.keys, r.dead, r.quarantine, r.bodies];
        self.call(move |t| {
            let mut left = 500;
            for (step, (list, age)) in lists.into_iter().zip(ages).enumerate() {
                let until = t.now.saturating_sub(later(0, &age));
                for (hash, mut record) in t.until(list, until, left)? {
                    (record.list, record.payload) = ("remembered".into(), Default::default());
                    t.put(hash, Some(&record).filter(|_| step == 4))?;
                    left -= 1;
                }
            }
            Ok(Purged::new(500 - left as u64, left == 0))
        })
        .await
    }
}

impl Tables<'_> {
    fn insert(&mut self, new: &NewRecord) -> Result<Inserted, BoxError> {
        let hash = hash(&new.queue, &new.key);
        let digest = number(&Sha256::digest(&new.body));
        let (mut record, answer) = match self.get(hash)? {
            None => (Record::default(), Inserted::Fresh),
            Some(old) if old.key != new.key => return Ok(Inserted::Full), // the hash is taken
            Some(old) if old.id == new.id.to_bytes() => return Ok(Inserted::Fresh),
            Some(old) if old.rank < new.rank => (old, Inserted::Upgraded),
            Some(old) => {
                let differs = old.digest != digest;
                let known = found(old, self.now);
                let (id, rank, state) = (known.id, known.rank, known.state);
                #[rustfmt::skip]
                return Ok(Inserted::Duplicate { id, rank, state, differs });
            }
        };
        let (now, due) = (self.now, later(self.now, &new.due_in));
        if record.leased {
            // The lease stays good, and what replaces the leased content waits for its end.
            record.newer = Some(due);
        } else {
            let quarantined = new.queue.kind() == QueueKind::Quarantine;
            let list = Some("quarantine".into()).filter(|_| quarantined);
            (record.list, record.at) = (list.unwrap_or_else(|| name(&new.queue)), due);
        }
        (record.id, record.rank, record.digest) = (new.id.to_bytes(), new.rank, digest);
        (record.key, record.payload) = (new.key.to_vec(), (new.meta.to_vec(), new.body.to_vec()));
        (record.born, record.attempt, record.expiries, record.error) = (now, 0, 0, None);
        self.put(hash, Some(&record)).map(|()| answer)
    }

    fn settle(&mut self, one: &Settlement) -> Result<Settled, BoxError> {
        let (token, now) = (one.lease.token.to_bytes(), self.now);
        let hash = number(&token);
        let extend = matches!(one.action, Action::Extend { .. });
        let mut r = match self.get(hash)? {
            // Whoever repeats it finds the key free, as it was to be.
            None if one.action == Action::Disown => return Ok(Settled::Applied),
            Some(record) if record.token == Some(token) && record.leased => record,
            // It ended before, which only an extension cannot repeat.
            Some(record) if record.token == Some(token) && !extend => return Ok(Settled::Applied),
            _ => return Ok(Settled::Stale),
        };
        (r.leased, r.settled_by) = (extend, r.token.filter(|_| !extend).or(r.settled_by));
        match &one.action {
            Action::Extend { ttl } => r.at = later(now, ttl),
            // Whatever became of the content before: this one is still to be handled.
            _ if let Some(due) = r.newer.take() => r.at = due,
            Action::Done => (r.list, r.at) = ("done".into(), now),
            Action::Dead { reason } => {
                (r.list, r.at, r.error) = ("dead".into(), now, Some(reason.clone()));
            }
            Action::RetryIn { after, error } => {
                (r.at, r.error) = (later(now, after), Some(error.clone()));
            }
            Action::Release { after } => (r.at, r.attempt) = (later(now, after), r.attempt - 1),
            Action::Disown => return self.put(hash, None).map(|()| Settled::Applied),
            _ => return Err("this store does not know the action".into()),
        }
        self.put(hash, Some(&r)).map(|()| Settled::Applied)
    }

    fn get(&self, hash: u64) -> Result<Option<Record>, BoxError> {
        let Some(row) = self.records.get(hash)? else {
            return Ok(None);
        };
        let (json, meta, body) = row.value();
        let mut record: Record = serde_json::from_slice(json)?;
        record.payload = (meta.to_vec(), body.to_vec());
        Ok(Some(record))
    }

    /// The one way in which anything changes: a record is in one list, or not there.
    fn put(&mut self, hash: u64, new: Option<&Record>) -> Result<(), BoxError> {
        // An upgrade is not due before the lease has ended.
        let time = |record: &Record| record.at.max(record.newer.unwrap_or(0));
        if let Some(old) = self.get(hash)? {
            self.lists.remove((&*old.list, time(&old), hash))?;
            self.records.remove(hash)?;
        }
        if let Some(new) = new {
            let (json, (meta, body)) = (serde_json::to_vec(new)?, &new.payload);
            self.lists.insert((&*new.list, time(new), hash), ())?;
            self.records.insert(hash, (&*json, &**meta, &**body))?;
        }
        self.now += 1; // another time for each record, which is their order
        Ok(())
    }

    fn until(&self, list: &str, time: u64, most: usize) -> Result<Vec<(u64, Record)>, BoxError> {
        let range = self.lists.range((list, 0, 0)..=(list, time, u64::MAX))?;
        let records = range.take(most).map(|entry| {
            let hash = entry?.0.value().2;
            Ok((hash, self.get(hash)?.ok_or("a record is missing")?))
        });
        records.collect()
    }
}

fn found(record: Record, now: u64) -> Found {
    let state = match &*record.list {
        "done" | "remembered" => State::Done,
        "dead" => State::Dead,
        _ if record.leased && record.at > now => State::Leased,
        _ => State::Pending,
    };
    let found = Found::new(RecordId::from_bytes(record.id), record.rank, state)
        .with_settled_by(record.settled_by.map(LeaseToken::from_bytes))
        .with_error(record.error.as_deref());
    match (&*record.list, record.payload) {
        ("remembered", _) => found,
        (_, (meta, body)) => found.with_payload(body, meta),
    }
}

/// No kind has a colon, so no two queues have one name.
fn name(queue: &Queue) -> String {
    format!("{}:{}", queue.kind().as_str(), queue.endpoint())
}

/// Of the parts, with a length: nothing of one can be taken for another.
fn hash(queue: &Queue, key: &[u8]) -> u64 {
    let queue = format!("{}:{}", queue.endpoint().len(), name(queue));
    number(&Sha256::digest([queue.as_bytes(), key].concat()))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|n| bytes[n]))
}

/// The longest durations end at the end of time.
fn later(time: u64, duration: &Duration) -> u64 {
    time.saturating_add(duration.as_nanos().try_into().unwrap_or(u64::MAX))
}
