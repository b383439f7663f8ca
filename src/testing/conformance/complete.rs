//! Done inside a transaction of the user's.

use super::{
    Fixture, Need, Outcome,
    calls::{LONG, Probe, SHORT, clause, dead, event, events, ranked, retry_in},
};
use crate::store::{Action, Inserted, Lease, Settled, State};

/// A fixture whose stores complete leases in transactions of the user's.
pub trait Completes: Fixture {
    /// A transaction of the user's, on the database that the store is in.
    type Transaction: Send;

    /// Whether an open transaction that has completed a lease holds its rows only, so that others
    /// can write meanwhile.
    const HOLDS_ROWS_ONLY: bool;

    /// Begins a transaction.
    fn begin(&self, store: &Self::Store) -> impl Future<Output = Self::Transaction> + Send;

    /// Completes a lease in it.
    fn complete(
        &self,
        transaction: &mut Self::Transaction,
        lease: &Lease,
    ) -> impl Future<Output = Completed> + Send;

    /// Commits it.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = ()> + Send;

    /// Rolls it back.
    fn roll_back(&self, transaction: Self::Transaction) -> impl Future<Output = ()> + Send;
}

/// What a store's `complete` said.
///
/// Exhaustive: a handler has to know which of the three it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It is done when the transaction is committed.
    Now,
    /// This very lease was completed in a transaction that was committed before.
    Before,
    /// The lease is not the caller's any more.
    Lost,
}

/// Committed, it is done under its token, and rolled back nothing has happened.
pub async fn a_completion_is_as_good_as_its_transaction<F: Completes>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let leased = probe.one(&events(), LONG).await;
    let mut transaction = fixture.begin(probe.store()).await;
    let completed = fixture.complete(&mut transaction, &leased.lease).await;
    probe.same("a completion", completed, Completed::Now);
    fixture.roll_back(transaction).await;
    let found = probe.known(&record).await;
    probe.same("the state after a rollback", found.state, State::Leased);
    probe.same("who settled it", found.settled_by, None);

    let mut transaction = fixture.begin(probe.store()).await;
    let completed = fixture.complete(&mut transaction, &leased.lease).await;
    probe.same("a completion after a rollback", completed, Completed::Now);
    fixture.commit(transaction).await;
    let found = probe.known(&record).await;
    probe.same("the state after a commit", found.state, State::Done);
    let token = Some(leased.lease.token);
    probe.same("who settled it", found.settled_by, token);
    probe.none_due(&events(), "after a completion").await;
    let answer = probe.put(&event("task")).await;
    probe.seen(
        matches!(
            answer,
            Inserted::Duplicate {
                state: State::Done,
                ..
            }
        ),
        || format!("a repeat of what is done: {answer:?}"),
    );

    // An upgrade came meanwhile: it is due when the transaction is committed.
    probe.put_fresh(&event("failure")).await;
    let leased = probe.one(&events(), LONG).await;
    let success = ranked("failure", 1);
    let answer = probe.put(&success).await;
    probe.same("a higher rank", answer, Inserted::Upgraded);
    let mut transaction = fixture.begin(probe.store()).await;
    let completed = fixture.complete(&mut transaction, &leased.lease).await;
    probe.same(
        "a completion of what was replaced",
        completed,
        Completed::Now,
    );
    fixture.commit(transaction).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &success);
    Outcome::Kept
}

/// Whoever does not know whether he committed does it again, and is told.
pub async fn an_ambiguous_commit_is_told<F: Completes>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let leased = probe.one(&events(), LONG).await;
    for promised in [Completed::Now, Completed::Before, Completed::Before] {
        let mut transaction = fixture.begin(probe.store()).await;
        let completed = fixture.complete(&mut transaction, &leased.lease).await;
        probe.same("a completion repeated", completed, promised);
        match completed {
            Completed::Now => fixture.commit(transaction).await,
            _ => fixture.roll_back(transaction).await,
        }
        let state = probe.state(&record).await;
        probe.same("the state", state, Some(State::Done));
    }
    for action in [dead(), retry_in(LONG)] {
        probe.end(&leased.lease, action).await;
        let state = probe.state(&record).await;
        probe.same("the state after a later failure", state, Some(State::Done));
    }
    Outcome::Kept
}

/// Whoever stood still for longer than his lease completes nothing that another has taken.
pub async fn a_frozen_worker_completes_nothing<F: Completes>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let frozen = probe.one(&events(), SHORT).await;
    probe.pass(SHORT).await;
    let successor = probe.one(&events(), LONG).await;
    let late = async |when: &str| {
        let mut transaction = fixture.begin(probe.store()).await;
        let completed = fixture.complete(&mut transaction, &frozen.lease).await;
        probe.same(when, completed, Completed::Lost);
        fixture.roll_back(transaction).await;
    };
    late("a completion while the successor is at work").await;
    let state = probe.state(&record).await;
    probe.same("the state", state, Some(State::Leased));
    probe.applied(&successor.lease, dead()).await;
    late("a completion after the successor").await;
    let found = probe.known(&record).await;
    probe.same("the successor's outcome", found.state, State::Dead);
    probe.same(
        "who settled it",
        found.settled_by,
        Some(successor.lease.token),
    );

    // Expired, and nobody has taken it: the work counts.
    probe.put_fresh(&event("late")).await;
    let late = probe.one(&events(), SHORT).await;
    probe.pass(SHORT).await;
    let mut transaction = fixture.begin(probe.store()).await;
    let completed = fixture.complete(&mut transaction, &late.lease).await;
    probe.same("a late completion", completed, Completed::Now);
    fixture.commit(transaction).await;
    let state = probe.state(&event("late")).await;
    probe.same(
        "the state after a late completion",
        state,
        Some(State::Done),
    );
    Outcome::Kept
}

/// While a transaction is open, others insert, lease and extend; only who wants its very record is told
/// that it is busy, at once.
pub async fn an_open_transaction_holds_up_nobody_else<F: Completes>(fixture: &F) -> Outcome {
    if !F::HOLDS_ROWS_ONLY {
        return Need::RowLocks.does_not_apply();
    }
    let probe = Probe::open(clause!(), fixture).await;
    probe.insert(&[event("held"), event("beating")]).await;
    let leased = probe.lease(&events(), 2, LONG).await;
    probe.same("records that are due", leased.len(), 2);
    let place = |key: &str| leased.iter().position(|leased| leased.key == key);
    let (Some(held), Some(beating)) = (place("held"), place("beating")) else {
        probe.broken("other records were leased");
    };
    let (held, beating) = (&leased[held].lease, &leased[beating].lease);
    let mut transaction = fixture.begin(probe.store()).await;
    let completed = fixture.complete(&mut transaction, held).await;
    probe.same("a completion", completed, Completed::Now);

    let extend = || Action::Extend { ttl: LONG };
    probe.applied(beating, extend()).await;
    let both = [held, beating].map(|lease| crate::store::Settlement::new(lease.clone(), extend()));
    let settled = probe.settle(&both).await;
    let promised = vec![Settled::Busy, Settled::Applied];
    probe.same("heartbeats beside an open transaction", settled, promised);
    let new = event("new");
    let answers = probe
        .insert(&[new.clone(), ranked("held", 1), event("newer")])
        .await;
    let promised = vec![Inserted::Fresh, Inserted::Busy, Inserted::Fresh];
    probe.same("inserts beside an open transaction", answers, promised);
    let answer = probe.put(&event("held")).await;
    probe.seen(
        matches!(answer, Inserted::Duplicate { .. } | Inserted::Busy),
        || format!("a repeat of what is held: {answer:?}"),
    );
    let due = probe.lease(&events(), 9, LONG).await;
    probe.same("leases beside an open transaction", due.len(), 2);
    probe.applied(&due[0].lease, Action::Done).await;
    let state = probe.state(&event("held")).await;
    probe.same("what is held, to others", state, Some(State::Leased));
    fixture.commit(transaction).await;
    let state = probe.state(&event("held")).await;
    probe.same("what was held", state, Some(State::Done));
    let answer = probe.put(&ranked("held", 1)).await;
    probe.same("the upgrade, tried again", answer, Inserted::Upgraded);
    Outcome::Kept
}
