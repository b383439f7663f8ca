//! The same store, as operators see it.

use tower_callback::store::{
    Action, Counts, Inbox, Inspect, NewRecord, Queue, RecordId, Settlement, State, Store,
    StoreError,
    inspect::{Cursor, Deleted, Listing, Page, Record, Requeued, Summary},
};

use crate::flaws::{Flaw, FlawedStore};

impl FlawedStore {
    async fn all(&self, queue: &Queue, state: Option<State>) -> Result<Vec<Summary>, StoreError> {
        let mut listing = Listing::all().with_limit(Listing::MAX_LIMIT);
        listing.state = state;
        let page = self.store.list(queue, &listing).await?;
        assert_eq!(page.next, None, "a short list");
        Ok(page.records)
    }

    /// Ends a lease that is not ours to end.
    async fn take_away(&self, queue: &Queue, id: RecordId) -> Result<(), StoreError> {
        let Some(record) = self.store.look(queue, id).await? else {
            return Ok(());
        };
        let key = record.summary.key.unwrap_or_default();
        let lease = self.notes().leases.get(&key).cloned();
        if let Some(lease) = lease.filter(|_| record.summary.state == State::Leased) {
            let reason = String::new();
            let end = Settlement::new(lease, Action::Dead { reason });
            self.store.settle(&[end]).await?;
        }
        Ok(())
    }
}

impl Inspect for FlawedStore {
    async fn counts(&self, queue: &Queue) -> Result<Counts, StoreError> {
        let mut counts = self.store.counts(queue).await?;
        match self.flaw {
            Flaw::ExpiredCountsAsLeased => {
                let pending = self.all(queue, Some(State::Pending)).await?;
                let expired = pending.iter().filter(|told| told.expiries > 0).count() as u64;
                counts.pending -= expired;
                counts.leased += expired;
            }
            Flaw::LaterCountsAsDue => {
                let pending = self.all(queue, Some(State::Pending)).await?;
                counts.oldest_due = pending.iter().filter_map(|told| told.age).max();
            }
            _ => {}
        }
        Ok(counts)
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let mut queues = self.store.queues().await?;
        if self.has(Flaw::QueuesAreTwice) {
            queues = queues
                .into_iter()
                .flat_map(|queue| [queue.clone(), queue])
                .collect();
        }
        Ok(queues)
    }

    async fn list(&self, queue: &Queue, listing: &Listing) -> Result<Page, StoreError> {
        match self.flaw {
            Flaw::CursorsAreTrusted => {
                let page = self.store.list(queue, listing).await;
                let begin = Listing::all().with_limit(listing.limit());
                return match page {
                    Err(_) => self.store.list(queue, &begin).await,
                    page => page,
                };
            }
            Flaw::ListsAllQueues | Flaw::ListsOldestFirst | Flaw::PagesAreNumbered => {}
            _ => return self.store.list(queue, listing).await,
        }
        let mut all = Vec::new();
        if self.has(Flaw::ListsAllQueues) {
            for queue in self.store.queues().await? {
                all.extend(self.all(&queue, listing.state).await?);
            }
        } else {
            all = self.all(queue, listing.state).await?;
        }
        if self.has(Flaw::ListsOldestFirst) {
            all.sort_by_key(|told| std::cmp::Reverse(told.age));
        }
        let begin = match &listing.after {
            None => 0,
            Some(cursor) => match cursor.as_bytes().try_into() {
                Ok(bytes) => usize::from_be_bytes(bytes),
                Err(_) => return Err(StoreError::rejected("a cursor of nobody")),
            },
        };
        let end = begin + listing.limit();
        let next = (end < all.len()).then(|| Cursor::from_bytes(end.to_be_bytes().to_vec()));
        let records = all.into_iter().skip(begin).take(listing.limit()).collect();
        Ok(Page::new(records, next))
    }

    async fn look(&self, queue: &Queue, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut looked = self.store.look(queue, id).await?;
        if self.has(Flaw::LooksElsewhere) && looked.is_none() {
            for queue in self.store.queues().await? {
                let found = self.store.look(&queue, id).await?;
                looked = looked.or(found);
            }
        }
        if let Some(record) = &mut looked {
            match self.flaw {
                Flaw::BodiesAreNotLookedAt => record.body = None,
                Flaw::FailuresAreForgotten => record.failures.truncate(1),
                Flaw::FailuresAreOldestFirst => record.failures.reverse(),
                Flaw::FailuresSurviveUpgrades => {
                    let key = record.summary.key.clone().unwrap_or_default();
                    let mut notes = self.notes();
                    let old = notes.failures.entry(key).or_default();
                    if record.failures.is_empty() {
                        record.failures.clone_from(old);
                    } else {
                        old.clone_from(&record.failures);
                    }
                }
                _ => {}
            }
        }
        Ok(looked)
    }

    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Requeued>, StoreError> {
        if self.has(Flaw::RequeueTakesLeased) {
            for id in ids {
                self.take_away(queue, *id).await?;
            }
        }
        if self.has(Flaw::RequeueIsInsert) {
            let mut answers = Vec::new();
            for id in ids {
                let record = self.store.look(queue, *id).await?;
                let dead = record.filter(|record| record.summary.state == State::Dead);
                let Some(record) = dead else {
                    answers.extend(self.store.requeue(queue, &[*id]).await?);
                    continue;
                };
                self.store.delete(queue, &[*id]).await?;
                let key = record.summary.key.unwrap_or_default();
                let mut new = NewRecord::new(queue.clone(), key, record.body.unwrap_or_default());
                new.id = *id;
                self.store.insert(&[new]).await?;
                answers.push(Requeued::Applied);
            }
            return Ok(answers);
        }
        let mut answers = self.store.requeue(queue, ids).await?;
        match self.flaw {
            Flaw::RequeueAnswersInReverse => answers.reverse(),
            Flaw::EveryRequeueApplies => answers.fill(Requeued::Applied),
            _ => {}
        }
        Ok(answers)
    }

    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Result<Vec<Deleted>, StoreError> {
        if self.has(Flaw::DeletionIsALook) {
            return Ok(vec![Deleted::Applied; ids.len()]);
        }
        if self.has(Flaw::DeletionTakesLeased) {
            for id in ids {
                self.take_away(queue, *id).await?;
            }
        }
        self.store.delete(queue, ids).await
    }
}
