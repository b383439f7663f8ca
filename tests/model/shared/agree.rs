//! One sequence on a store and on the model, call by call.

use std::time::Duration;

use tower_callback::store::{
    Action, Inbox, Inspect, Lease, Queue, Settlement, Store,
    inspect::{Listing, Summary},
};

use super::{
    CALL, Sequence,
    reference::Reference,
    sequence::{Call, KEYS, queues},
    told::{assert_found, assert_same_counts, assert_same_look, assert_same_summary},
};

/// A store whose time can be turned.
pub(crate) trait Subject {
    type Store: Inspect;

    fn store(&self) -> &Self::Store;

    /// Turns the store's clock forward.
    async fn advance(&mut self, by: Duration);

    /// Forgets everything but the time.
    async fn clear(&mut self);

    /// Whether the queue is there for the clock's sake only.
    fn is_own(&self, _: &Queue) -> bool {
        false
    }
}

/// Makes every call on the store and on the model, and compares all that is answered and told.
///
/// # Panics
///
/// When they differ.
pub(crate) async fn agree<S: Subject>(subject: &mut S, sequence: &Sequence) {
    let mut run = Run::new(subject, sequence).await;
    for call in &sequence.calls {
        run.call(call).await;
    }
    for queue in queues() {
        run.look(&queue).await;
    }
    run.queues().await;
}

struct Run<'a, S> {
    subject: &'a mut S,
    model: Reference,
    now: Duration,
    leases: Vec<Lease>,
    /// What was dropped from quarantine by earlier sequences.
    dropped: u64,
}

impl<'a, S: Subject> Run<'a, S> {
    async fn new(subject: &'a mut S, sequence: &Sequence) -> Self {
        let [_, _, quarantine, _] = queues();
        let counts = subject.store().counts(&quarantine).await.unwrap();
        Self {
            subject,
            model: Reference::new(sequence.limits),
            now: Duration::ZERO,
            leases: Vec::new(),
            dropped: counts.dropped,
        }
    }

    async fn call(&mut self, call: &Call) {
        self.wait(CALL).await;
        let (store, model, now) = (self.subject.store(), &mut self.model, self.now);
        match call {
            Call::Insert(records) => {
                let answers = store.insert(records).await.unwrap();
                let expected = records.iter().map(|record| model.insert(now, record));
                assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Call::Lease { queue, max, ttl } => {
                let queue = &queues()[*queue];
                let leased = store.lease(queue, *max, *ttl).await.unwrap();
                model.lease(now, queue, *max, *ttl, &leased);
                self.leases.extend(leased.into_iter().map(|one| one.lease));
            }
            Call::Settle(settlements) => self.settle(settlements).await,
            Call::Purge(retention) => {
                let purged = store.purge(retention).await.unwrap();
                assert_eq!(purged, model.purge(now, retention));
            }
            Call::Requeue { queue, ids } => {
                let queue = &queues()[*queue];
                let answers = store.requeue(queue, ids).await.unwrap();
                let expected = ids.iter().map(|id| model.requeue(now, queue, *id));
                assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Call::Delete { queue, ids } => {
                let queue = &queues()[*queue];
                let answers = store.delete(queue, ids).await.unwrap();
                let expected = ids.iter().map(|id| model.delete(now, queue, *id));
                assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Call::Wait(time) => self.wait(*time).await,
            Call::Look(queue) => self.look(&queues()[*queue]).await,
        }
    }

    async fn wait(&mut self, time: Duration) {
        self.subject.advance(time).await;
        self.now += time;
    }

    async fn settle(&mut self, settlements: &[(usize, Action)]) {
        if self.leases.is_empty() {
            return;
        }
        let settlements: Vec<Settlement> = settlements
            .iter()
            .map(|(back, action)| {
                let nth = self.leases.len() - 1 - back % self.leases.len();
                Settlement::new(self.leases[nth].clone(), action.clone())
            })
            .collect();
        let answers = self.subject.store().settle(&settlements).await.unwrap();
        assert_eq!(answers.len(), settlements.len());
        for (settlement, answer) in settlements.iter().zip(answers) {
            let token = settlement.lease.token;
            let allowed = self.model.settle(self.now, token, &settlement.action);
            assert!(
                allowed.contains(&answer),
                "{answer:?} is none of {allowed:?}"
            );
        }
    }

    /// Compares everything that can be asked of a queue.
    async fn look(&self, queue: &Queue) {
        let (store, model, now) = (self.subject.store(), &self.model, self.now);
        let mut counts = store.counts(queue).await.unwrap();
        if queue == &queues()[2] {
            counts.dropped -= self.dropped;
        }
        assert_same_counts(counts, model.counts(now, queue));
        for key in KEYS {
            let found = store.find(queue, key).await.unwrap();
            let record = model.of_key(queue, key).map(|at| &model.records[at]);
            assert_found(found, record.map(|record| (record, record.summary(now))));
        }

        let listed = self.list(queue).await;
        let holds = |at: &usize| model.records[*at].queue() == queue;
        let held = (0..model.records.len()).filter(holds).count();
        assert_eq!(listed.len(), held, "a list has every record once");
        let mut places = Vec::new();
        for summary in &listed {
            let at = model
                .of_id(queue, summary.id)
                .expect("what is listed is known");
            assert_same_summary(summary, &model.records[at].summary(now));
            let early = places.iter().any(|listed| model.is_before(at, *listed));
            assert!(!early, "{summary:?} is listed too late");
            assert!(!places.contains(&at), "{summary:?} is listed twice");
            places.push(at);
            let looked = store.look(queue, summary.id).await.unwrap();
            assert_same_look(looked, Some(model.records[at].looked_at(now)));
        }
    }

    /// The whole list, in small pages.
    async fn list(&self, queue: &Queue) -> Vec<Summary> {
        let store = self.subject.store();
        let mut listed = Vec::new();
        let mut listing = Listing::all().with_limit(2);
        loop {
            let page = store.list(queue, &listing).await.unwrap();
            listed.extend(page.records);
            match page.next {
                Some(cursor) => listing = listing.after(cursor),
                None => return listed,
            }
        }
    }

    /// Every queue that holds a record is told.
    async fn queues(&self) {
        let mut told = self.subject.store().queues().await.unwrap();
        told.retain(|queue| !self.subject.is_own(queue));
        let word = |queue: &Queue| (queue.endpoint().to_owned(), queue.kind().as_str());
        assert!(
            told.is_sorted_by(|a, b| word(a) < word(b)),
            "{told:?} is not sorted"
        );
        for record in &self.model.records {
            assert!(told.contains(record.queue()), "{:?}", record.queue());
        }
    }
}
