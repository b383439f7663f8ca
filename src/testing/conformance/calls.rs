//! Calls to the store under test: each bounded, each named in what it panics with.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Fixture, Process};
use crate::store::{
    Action, Found, Inserted, Lease, Leased, NewRecord, Purged, Queue, Retention, Settled,
    Settlement, State, Store, StoreError,
};

/// What is waited for.
pub(super) const SHORT: Duration = Duration::from_millis(40);
/// What never ends while a clause runs.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// Nothing takes that long.
const LIMIT: Duration = Duration::from_secs(30);

/// Calls to one store, on behalf of one clause.
pub(super) struct Calls<S> {
    clause: &'static str,
    store: Arc<S>,
}

impl<S> Clone for Calls<S> {
    fn clone(&self) -> Self {
        Self {
            clause: self.clause,
            store: Arc::clone(&self.store),
        }
    }
}

/// The calls, and the fixture that lets time pass.
pub(super) struct Probe<'f, F: Fixture> {
    calls: Calls<F::Store>,
    fixture: &'f F,
}

impl<F: Fixture> Deref for Probe<'_, F> {
    type Target = Calls<F::Store>;

    fn deref(&self) -> &Self::Target {
        &self.calls
    }
}

/// The clause that is at work: the name of the function around.
macro_rules! clause {
    () => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        let path = path
            .trim_end_matches("::here")
            .trim_end_matches("::{{closure}}");
        path.rsplit("::").next().unwrap_or(path)
    }};
}
pub(super) use clause;

impl<'f, F: Fixture> Probe<'f, F> {
    pub(super) async fn open(clause: &'static str, fixture: &'f F) -> Self {
        Self::on(clause, fixture, fixture.open().await)
    }

    pub(super) fn on(clause: &'static str, fixture: &'f F, store: F::Store) -> Self {
        Self {
            calls: Calls {
                clause,
                store: Arc::new(store),
            },
            fixture,
        }
    }

    /// For tasks of their own.
    pub(super) fn calls(&self) -> Calls<F::Store> {
        self.calls.clone()
    }

    pub(super) fn fixture(&self) -> &'f F {
        self.fixture
    }

    pub(super) async fn process(&self, days_off: i64) -> Option<Process> {
        self.fixture.process(&self.store, days_off).await
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.fixture.pass(&self.store, time).await;
    }

    /// Closes the store and opens it again.
    pub(super) async fn reopen(self) -> Self {
        let Self { calls, fixture } = self;
        let clause = calls.clause;
        let Some(store) = Arc::into_inner(calls.store) else {
            panic!("{clause}: the store is still in use");
        };
        let Some(store) = fixture.reopen(store).await else {
            panic!(
                "{clause}: the store says that it is durable, and the fixture does not reopen it"
            );
        };
        Self::on(clause, fixture, store)
    }

    /// Leases one record that is due now or soon.
    pub(super) async fn one(&self, queue: &Queue, ttl: Duration) -> Leased {
        for _ in 0..50 {
            let mut leased = self.lease(queue, 1, ttl).await;
            self.seen(leased.len() <= 1, || "a lease of at most 1 gave more");
            if let Some(leased) = leased.pop() {
                return leased;
            }
            self.pass(SHORT / 2).await;
        }
        self.broken("a record that is due was not leased");
    }
}

impl<S: Store> Calls<S> {
    /// The same clause, with another store.
    pub(super) fn beside<T>(&self, store: T) -> Calls<T> {
        Calls {
            clause: self.clause,
            store: Arc::new(store),
        }
    }

    #[track_caller]
    pub(super) fn broken(&self, what: impl fmt::Display) -> ! {
        panic!("{}: {what}", self.clause);
    }

    #[track_caller]
    pub(super) fn seen<D: fmt::Display>(&self, right: bool, what: impl FnOnce() -> D) {
        if !right {
            self.broken(what());
        }
    }

    #[track_caller]
    pub(super) fn same<T: PartialEq + fmt::Debug>(&self, what: &str, seen: T, promised: T) {
        self.seen(seen == promised, || {
            format!("{what}: promised {promised:?}, seen {seen:?}")
        });
    }

    pub(super) fn store(&self) -> &S {
        &self.store
    }

    pub(super) async fn answer<T>(
        &self,
        call: &str,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> T {
        match self.within(call, future).await {
            Ok(answer) => answer,
            Err(error) => {
                let source = std::error::Error::source(&error);
                let source = source.map(ToString::to_string).unwrap_or_default();
                self.broken(format_args!("{call} failed: {error}: {source}"))
            }
        }
    }

    /// Waits, but not for ever.
    pub(super) async fn within<T>(&self, call: &str, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => self.broken(format_args!("{call} did not end within {LIMIT:?}")),
        }
    }

    /// Runs all at once, and waits for all.
    pub(super) async fn all<T: Send + 'static>(
        &self,
        futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let mut tasks: JoinSet<T> = futures.into_iter().collect();
        let mut outputs = Vec::new();
        while let Some(joined) = self.within("a concurrent task", tasks.join_next()).await {
            match joined {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => self.broken(error),
            }
        }
        outputs
    }

    pub(super) async fn insert(&self, records: &[NewRecord]) -> Vec<Inserted> {
        let answers = self.answer("insert", self.store.insert(records)).await;
        self.same("answers to a batch", answers.len(), records.len());
        answers
    }

    pub(super) async fn put(&self, record: &NewRecord) -> Inserted {
        self.insert(std::slice::from_ref(record)).await[0]
    }

    /// Inserts what must be new.
    pub(super) async fn put_fresh(&self, record: &NewRecord) {
        let answer = self.put(record).await;
        self.same("inserting a new key", answer, Inserted::Fresh);
    }

    pub(super) async fn lease(&self, queue: &Queue, max: usize, ttl: Duration) -> Vec<Leased> {
        let leased = self
            .answer("lease", self.store.lease(queue, max, ttl))
            .await;
        self.seen(leased.len() <= max, || {
            format!("a lease of at most {max} gave {}", leased.len())
        });
        leased
    }

    /// Nothing is due.
    pub(super) async fn none_due(&self, queue: &Queue, when: &str) {
        let leased = self.lease(queue, 10, LONG).await;
        self.seen(leased.is_empty(), || {
            format!("{when}: nothing is due, and {} were leased", leased.len())
        });
    }

    pub(super) async fn settle(&self, settlements: &[Settlement]) -> Vec<Settled> {
        let answers = self.answer("settle", self.store.settle(settlements)).await;
        self.same("answers to a settle", answers.len(), settlements.len());
        answers
    }

    pub(super) async fn end(&self, lease: &Lease, action: Action) -> Settled {
        self.settle(&[Settlement::new(lease.clone(), action)]).await[0]
    }

    /// Settles what must be settled.
    pub(super) async fn applied(&self, lease: &Lease, action: Action) {
        let what = format!("settling with {action:?}");
        let settled = self.end(lease, action).await;
        self.same(&what, settled, Settled::Applied);
    }

    pub(super) async fn find(&self, queue: &Queue, key: &[u8]) -> Option<Found> {
        self.answer("find", self.store.find(queue, key)).await
    }

    pub(super) async fn known(&self, record: &NewRecord) -> Found {
        match self.find(&record.queue, &record.key).await {
            Some(found) => found,
            None => self.broken("a key that was acknowledged is not known"),
        }
    }

    pub(super) async fn state(&self, record: &NewRecord) -> Option<State> {
        let found = self.find(&record.queue, &record.key).await;
        found.map(|found| found.state)
    }

    /// Purges, step by step, while there is more.
    pub(super) async fn purge(&self, retention: &Retention) -> u64 {
        let mut records = 0;
        for _ in 0..10_000 {
            let Purged {
                records: step,
                more,
            } = self.answer("purge", self.store.purge(retention)).await;
            records += step;
            if !more {
                return records;
            }
        }
        self.broken("purge says without end that there is more");
    }

    /// What was leased is the record, byte for byte.
    pub(super) fn is_record(&self, leased: &Leased, record: &NewRecord) {
        self.same("the leased id", leased.lease.id, record.id);
        self.same("the leased queue", &leased.lease.queue, &record.queue);
        self.same("the leased rank", leased.rank, record.rank);
        self.seen(leased.key == record.key, || "the leased key is another one");
        self.seen(
            leased.body == record.body,
            || "the leased body is another one",
        );
        self.seen(
            leased.meta == record.meta,
            || "the leased meta is another one",
        );
    }
}

/// The endpoint's queue that most clauses use.
pub(super) fn events() -> Queue {
    Queue::events("conformance")
}

/// A record with a body that tells its key and rank.
pub(super) fn event(key: impl Into<Bytes>) -> NewRecord {
    ranked(key, 0)
}

pub(super) fn ranked(key: impl Into<Bytes>, rank: u16) -> NewRecord {
    let key = key.into();
    let body = format!("{}:{rank}", key.escape_ascii());
    NewRecord::new(events(), key, body)
        .with_rank(rank)
        .with_meta(r#"{"arrived":1}"#)
}

pub(super) fn retry_in(after: Duration) -> Action {
    Action::RetryIn {
        after,
        error: "not yet".to_owned(),
    }
}

pub(super) fn dead() -> Action {
    Action::Dead {
        reason: "given up".to_owned(),
    }
}

pub(super) fn release() -> Action {
    Action::Release {
        after: Duration::ZERO,
    }
}
