//! A store of one's own: events in a [redb](https://docs.rs/redb) file.
//!
//! Every call is one transaction, and redb has one writer at a time: that alone keeps half of the
//! contract. For the other half, each record stands in one list, under the time at which it is due.

#[path = "record.rs"]
mod record;

use std::{path::Path, sync::Arc, time::Duration};

use redb::{Database, ReadableTable, Table, TableDefinition as Definition};
use tower_callback::{
    BoxError,
    store::{
        Action, Durability, Found, Inbox, Inserted, Lease, LeaseToken, Leased, NewRecord, Purged,
        Queue, QueueKind, RecordId, Retention, Settled, Settlement, Store, StoreError,
    },
};

use self::record::{Record, digest, hash, later, list, locator, wall};

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
    changed: bool,
}

impl RedbStore {
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, BoxError> {
        Ok(Self(Arc::new(Database::create(path)?)))
    }

    /// One transaction, on a thread that may block. It ends also when its caller was dropped.
    async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, BoxError> + Send + 'static,
    {
        let database = Arc::clone(&self.0);
        let transaction = move || -> Result<T, BoxError> {
            let transaction = database.begin_write()?;
            let clock: Table<'_, (), u64> = transaction.open_table(Definition::new("clock"))?;
            // A clock that was set back must not keep everything waiting.
            let latest = clock.get(())?.map_or(0, |latest| latest.value());
            let mut tables = Tables {
                records: transaction.open_table(Definition::new("records"))?,
                lists: transaction.open_table(Definition::new("lists"))?,
                now: latest.max(wall()?),
                clock,
                changed: false,
            };
            let (answer, changed) = (work(&mut tables)?, tables.changed);
            drop(tables);
            if changed {
                transaction.commit()?; // to the disk: only then there is an answer
            }
            Ok(answer)
        };
        let done = tokio::task::spawn_blocking(transaction).await;
        let error = match done {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(panicked) => panicked.into(),
        };
        Err(error
            .downcast()
            .map_or_else(StoreError::unavailable, |error| *error))
    }
}

impl Inbox for RedbStore {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, new: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let new = new.to_vec();
        self.call(move |t| new.iter().map(|one| t.insert(one)).collect())
            .await
    }
}

impl Store for RedbStore {
    async fn lease(&self, q: &Queue, max: usize, ttl: Duration) -> Result<Vec<Leased>, StoreError> {
        let queue = q.clone();
        self.call(move |t| t.lease(&queue, max, ttl)).await
    }

    async fn settle(&self, all: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let all = all.to_vec();
        self.call(move |t| all.iter().map(|one| t.settle(one)).collect())
            .await
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        let hash = hash(queue, key);
        self.call(move |t| Ok(t.get(hash)?.map(|record| record.found(t.now))))
            .await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        let retention = *retention;
        self.call(move |t| t.purge(&retention)).await
    }
}

impl Tables<'_> {
    fn insert(&mut self, new: &NewRecord) -> Result<Inserted, BoxError> {
        let (hash, digest) = (hash(&new.queue, &new.key), digest(&new.body));
        let old = self.get(hash)?;
        let answer = old.as_ref().map_or(Inserted::Fresh, |_| Inserted::Upgraded);
        let mut record = old.unwrap_or_default();
        if answer == Inserted::Upgraded && record.key != new.key {
            return Err(StoreError::rejected("two keys have one hash").into());
        } else if record.id == new.id.to_bytes() {
            return Ok(Inserted::Fresh);
        } else if answer == Inserted::Upgraded && record.rank >= new.rank {
            let differs = record.digest != digest;
            let (id, rank, state) = record.names(self.now);
            return Ok(Inserted::Duplicate {
                id,
                rank,
                state,
                differs,
            });
        }
        self.now += 1; // another time for each record, which is their order
        let (now, due) = (self.now, later(self.now, new.due_in));
        if record.leased {
            // The lease stays good, and what replaces the leased content waits for its end.
            record.newer = Some(due);
        } else {
            (record.list, record.at) = (list(&new.queue), due);
        }
        (record.id, record.rank, record.digest) = (new.id.to_bytes(), new.rank, digest);
        (record.key, record.payload) = (new.key.to_vec(), (new.meta.to_vec(), new.body.to_vec()));
        (record.born, record.attempt, record.expiries, record.error) = (now, 0, 0, None);
        self.put(hash, Some(&record)).map(|()| answer)
    }

    fn lease(&mut self, queue: &Queue, max: usize, ttl: Duration) -> Result<Vec<Leased>, BoxError> {
        let mut leased = Vec::new();
        let max = if queue.kind() == QueueKind::Quarantine {
            0
        } else {
            max
        };
        for (hash, mut record) in self.until(&list(queue), self.now, max)? {
            record.expiries += u32::from(record.leased && record.newer.is_none());
            // A suspect, whose handler may be what ends the process, takes no other along.
            let suspect = record.expiries > 0;
            if suspect && !leased.is_empty() {
                break;
            }
            // The hash leads back to the record, and the rest makes that no token comes again.
            let mut token = RecordId::random().to_bytes();
            token[..8].copy_from_slice(&hash.to_be_bytes());
            (record.token, record.newer, record.leased) = (Some(token), None, true);
            (record.attempt, record.at) = (record.attempt + 1, later(self.now, ttl));
            self.put(hash, Some(&record))?;
            let (id, rank, _) = record.names(self.now);
            let lease = Lease::new(queue.clone(), id, LeaseToken::from_bytes(token));
            let (meta, body) = record.payload;
            let age = Duration::from_nanos(self.now.saturating_sub(record.born));
            let one = Leased::new(lease, record.key.into(), rank, body.into(), meta.into());
            leased.push(one.with_history(record.attempt, record.expiries, age));
            if suspect {
                break;
            }
        }
        Ok(leased)
    }

    fn settle(&mut self, one: &Settlement) -> Result<Settled, BoxError> {
        self.now += 1;
        let (token, now) = (one.lease.token.to_bytes(), self.now);
        let hash = locator(&token);
        let extend = matches!(one.action, Action::Extend { .. });
        let mut record = match self.get(hash)? {
            // Whoever repeats it finds the key free, as it was to be.
            None if one.action == Action::Disown => return Ok(Settled::Applied),
            Some(record) if record.token == Some(token) => record,
            _ => return Ok(Settled::Stale),
        };
        if !record.leased {
            // It ended before, which only an extension cannot repeat.
            return Ok(if extend {
                Settled::Stale
            } else {
                Settled::Applied
            });
        } else if !extend {
            (record.leased, record.settled_by) = (false, Some(token));
        }
        match &one.action {
            Action::Extend { ttl } => record.at = later(now, *ttl),
            // Whatever became of the content before: this one is still to be handled.
            _ if let Some(due) = record.newer.take() => record.at = due,
            Action::Done => (record.list, record.at) = ("done".into(), now),
            Action::Dead { reason } => {
                (record.list, record.at) = ("dead".into(), now);
                record.error = Some(reason.clone());
            }
            Action::RetryIn { after, error } => {
                (record.at, record.error) = (later(now, *after), Some(error.clone()));
            }
            Action::Release { after } => {
                (record.at, record.attempt) = (later(now, *after), record.attempt - 1);
            }
            Action::Disown => return self.put(hash, None).map(|()| Settled::Applied),
            _ => return Err("this store does not know the action".into()),
        }
        self.put(hash, Some(&record)).map(|()| Settled::Applied)
    }

    /// What is settled, in steps of 500: first what goes as a whole, then bodies.
    fn purge(&mut self, ages: &Retention) -> Result<Purged, BoxError> {
        let mut left = 500;
        let done = [
            ("remembered", ages.keys),
            ("done", ages.keys),
            ("dead", ages.dead),
        ];
        let rest = [("quarantine", ages.quarantine), ("done", ages.bodies)];
        for (step, (list, age)) in done.into_iter().chain(rest).enumerate() {
            let until = self.now.checked_sub(later(0, age));
            let found = until.map(|until| self.until(list, until, left));
            for (hash, mut record) in found.transpose()?.unwrap_or_default() {
                (record.list, record.payload) = ("remembered".into(), Default::default());
                self.put(hash, Some(&record).filter(|_| step == 4))?;
                left -= 1;
            }
        }
        Ok(Purged::new(500 - left as u64, left == 0))
    }

    fn get(&self, hash: u64) -> Result<Option<Record>, BoxError> {
        let read = self
            .records
            .get(hash)?
            .map(|row| -> Result<Record, BoxError> {
                let (json, meta, body) = row.value();
                let payload = (meta.to_vec(), body.to_vec());
                Ok(Record {
                    payload,
                    ..serde_json::from_slice(json)?
                })
            });
        read.transpose()
    }

    /// The one way in which anything changes: a record is in one list, or not there.
    fn put(&mut self, hash: u64, new: Option<&Record>) -> Result<(), BoxError> {
        if let Some(old) = self.get(hash)? {
            self.lists.remove((&*old.list, old.time(), hash))?;
            self.records.remove(hash)?;
        }
        if let Some(new) = new {
            let (json, (meta, body)) = (serde_json::to_vec(new)?, &new.payload);
            self.lists.insert((&*new.list, new.time(), hash), ())?;
            self.records.insert(hash, (&*json, &**meta, &**body))?;
        }
        self.changed = true;
        self.clock.insert((), self.now)?;
        Ok(())
    }

    /// What is in a list up to a time, earliest first.
    fn until(&self, list: &str, time: u64, most: usize) -> Result<Vec<(u64, Record)>, BoxError> {
        let range = self.lists.range((list, 0, 0)..=(list, time, u64::MAX))?;
        let records = range.take(most).map(|entry| {
            let hash = entry?.0.value().2;
            Ok((hash, self.get(hash)?.ok_or("a record is missing")?))
        });
        records.collect()
    }
}
