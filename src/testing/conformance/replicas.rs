//! Several stores on one place, each with connections of its own.

use std::collections::HashSet;

use super::{
    Fixture, Need, Outcome,
    calls::{Calls, LONG, Probe, SHORT, clause, event, events, ranked, retry_in},
    crowd::drain,
};
use crate::store::{Action, Inserted, Settled, State, Store};

/// What one was told, the other knows at once.
pub async fn replicas_share_what_they_know<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let Some(other) = fixture.open_again(probe.store()).await else {
        return Need::Replicas.does_not_apply();
    };
    let other = probe.beside(other);
    let first = event("task");
    probe.put_fresh(&first).await;
    let answer = other.put(&event("task")).await;
    let promised = Inserted::Duplicate {
        id: first.id,
        rank: 0,
        state: State::Pending,
        differs: false,
    };
    probe.same("a repeat at another replica", answer, promised);
    let answer = other.put(&first).await;
    probe.same(
        "the same insert at another replica",
        answer,
        Inserted::Fresh,
    );

    let leased = probe.one(&events(), LONG).await;
    other
        .none_due(&events(), "while another replica has the only lease")
        .await;
    let state = other.state(&first).await;
    probe.same("the state of what is leased", state, Some(State::Leased));
    other
        .applied(&leased.lease, Action::Extend { ttl: LONG })
        .await;
    other
        .applied(&leased.lease, retry_in(std::time::Duration::ZERO))
        .await;
    let Some(again) = lease_one(&other).await else {
        probe.broken("what was retried is not due at another replica");
    };
    probe.same("the attempt at another replica", again.attempt, 2);
    let settled = probe.end(&leased.lease, Action::Done).await;
    probe.same(
        "a lease that another replica has taken",
        settled,
        Settled::Stale,
    );

    let success = ranked("task", 1);
    let answer = probe.put(&success).await;
    probe.same(
        "an upgrade while another replica has the lease",
        answer,
        Inserted::Upgraded,
    );
    probe
        .none_due(&events(), "while the old content is leased")
        .await;
    other.applied(&again.lease, Action::Done).await;
    let leased = probe.one(&events(), SHORT).await;
    probe.is_record(&leased, &success);
    probe.pass(SHORT).await;
    let Some(taken) = lease_one(&other).await else {
        probe.broken("what expired is not due at another replica");
    };
    probe.same("the expiries at another replica", taken.expiries, 1);
    other.applied(&taken.lease, Action::Done).await;
    let found = probe.known(&success).await;
    probe.same("who settled it", found.settled_by, Some(taken.lease.token));
    probe.same("its state", found.state, State::Done);
    Outcome::Kept
}

async fn lease_one<S: Store>(calls: &Calls<S>) -> Option<crate::store::Leased> {
    calls.lease(&events(), 1, LONG).await.pop()
}

/// Inserted by many replicas at the same time, leased by many: each key is one record, which whoever
/// was told of finds, and each record is handled once.
pub async fn many_replicas_lose_nothing_and_double_nothing<F: Fixture>(fixture: &F) -> Outcome {
    const RECORDS: usize = 200;
    let probe = Probe::open(clause!(), fixture).await;
    let mut replicas = vec![probe.calls()];
    for _ in 0..3 {
        let Some(other) = fixture.open_again(probe.store()).await else {
            return Need::Replicas.does_not_apply();
        };
        replicas.push(probe.beside(other));
    }
    let inserters = replicas.iter().cloned().enumerate().map(|(first, calls)| {
        async move {
            let mut fresh = 0;
            for n in 0..RECORDS / 5 {
                // All begin with the same keys, in orders of their own.
                let mut batch: Vec<_> = (0..5).map(|k| event(format!("task {n} {k}"))).collect();
                batch.rotate_left(first);
                let answers = calls.insert(&batch).await;
                for (record, answer) in batch.iter().zip(answers) {
                    let found = calls.known(record).await;
                    match answer {
                        Inserted::Fresh => {
                            fresh += 1;
                            calls.same("the record of a fresh insert", found.id, record.id);
                        }
                        Inserted::Duplicate { id, .. } => {
                            calls.same("what a duplicate is one of", found.id, id);
                        }
                        other => calls.broken(format_args!("an insert among others: {other:?}")),
                    }
                }
            }
            fresh
        }
    });
    let fresh: usize = probe.all(inserters).await.into_iter().sum();
    probe.same("new keys in all", fresh, RECORDS);

    let workers = replicas
        .into_iter()
        .flat_map(|calls| [calls.clone(), calls]);
    let workers = workers.map(|calls| async move { drain(&calls).await });
    let handled = probe.all(workers).await.concat();
    probe.same("records that were handled", handled.len(), RECORDS);
    let distinct: HashSet<_> = handled.into_iter().collect();
    probe.same(
        "distinct records that were handled",
        distinct.len(),
        RECORDS,
    );
    Outcome::Kept
}
