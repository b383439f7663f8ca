//! Who gets what, when, and for which time.

use std::{collections::HashSet, time::Duration};

use super::{
    Fixture, Outcome,
    calls::{LONG, Probe, SHORT, clause, event, events, release, retry_in},
};
use crate::store::{Action, NewRecord, Retention, Settled, Settlement, State};

/// Every lease has a token of its own, also when it is of the same record.
pub async fn tokens_never_recur<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe.insert(&[event("a"), event("b")]).await;
    let mut seen = HashSet::new();
    for _ in 0..100 {
        let leased = probe.lease(&events(), 2, LONG).await;
        probe.same("leases of two due records", leased.len(), 2);
        let mut settlements = Vec::new();
        for leased in leased {
            probe.seen(seen.insert(leased.lease.token), || "a token came twice");
            settlements.push(Settlement::new(leased.lease, retry_in(Duration::ZERO)));
        }
        let settled = probe.settle(&settlements).await;
        probe.same("retries", settled, vec![Settled::Applied; 2]);
    }
    Outcome::Kept
}

/// Not even two stores that were told the same give one token: restored from an old copy, a store goes
/// through the same history twice.
pub async fn tokens_of_stores_with_one_history_differ<F: Fixture>(fixture: &F) -> Outcome {
    let clause = clause!();
    let record = event("task");
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let probe = Probe::open(clause, fixture).await;
        probe.put_fresh(&record).await;
        for _ in 0..3 {
            let leased = probe.one(&events(), LONG).await;
            probe.seen(
                seen.insert(leased.lease.token),
                || "a token of another store came again",
            );
            probe.applied(&leased.lease, retry_in(Duration::ZERO)).await;
        }
    }
    Outcome::Kept
}

/// What is leased is nobody else's until the lease ends.
pub async fn a_record_is_leased_to_one_caller<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let leased = probe.lease(&events(), 0, LONG).await;
    probe.seen(leased.is_empty(), || "a lease of at most 0 gave something");
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &record);
    let state = probe.state(&record).await;
    probe.same("the state of what is leased", state, Some(State::Leased));
    probe
        .none_due(&events(), "while the only record is leased")
        .await;
    probe.applied(&leased.lease, Action::Done).await;
    probe
        .none_due(&events(), "when the only record is done")
        .await;
    Outcome::Kept
}

/// The attempt counts when it begins, not when it is settled.
pub async fn an_attempt_counts_at_the_lease_and_a_release_gives_it_back<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe.put_fresh(&event("task")).await;
    let first = probe.one(&events(), LONG).await;
    probe.same("the first attempt", first.attempt, 1);
    probe.applied(&first.lease, retry_in(Duration::ZERO)).await;
    let second = probe.one(&events(), LONG).await;
    probe.same("the attempt after a failure", second.attempt, 2);
    probe.applied(&second.lease, release()).await;
    let third = probe.one(&events(), LONG).await;
    probe.same("the attempt after a release", third.attempt, 2);
    probe.same("the expiries after a release", third.expiries, 0);
    probe
        .applied(&third.lease, Action::Release { after: LONG })
        .await;
    probe
        .none_due(&events(), "after a release with a delay")
        .await;
    Outcome::Kept
}

/// A lease that ended by expiry was an attempt, and the next lease says so.
pub async fn an_expired_lease_is_counted<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    for expired in 0..3 {
        let leased = probe.one(&events(), SHORT).await;
        probe.is_record(&leased, &record);
        probe.same("the attempt", leased.attempt, expired + 1);
        probe.same("the leases that expired", leased.expiries, expired);
        probe.pass(SHORT).await;
        let state = probe.state(&record).await;
        probe.same("the state after expiry", state, Some(State::Pending));
    }
    let leased = probe.one(&events(), LONG).await;
    probe.same("the leases that expired", leased.expiries, 3);
    probe.applied(&leased.lease, retry_in(Duration::ZERO)).await;
    let leased = probe.one(&events(), LONG).await;
    probe.same("the expiries after a failed attempt", leased.expiries, 3);
    Outcome::Kept
}

/// What may have ended the process takes no batch-mates along.
pub async fn a_suspect_is_leased_alone<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe
        .insert(&[event("suspect 1"), event("suspect 2")])
        .await;
    let leased = probe.lease(&events(), 2, SHORT).await;
    probe.same("two records that are due", leased.len(), 2);
    // Due before the suspects, and after them.
    probe.insert(&[event("new 1"), event("new 2")]).await;
    probe.pass(SHORT).await;
    probe.insert(&[event("new 3")]).await;

    let mut seen = HashSet::new();
    for _ in 0..50 {
        let leased = probe.lease(&events(), 10, LONG).await;
        let suspects = leased.iter().filter(|leased| leased.expiries > 0).count();
        probe.seen(suspects == 0 || leased.len() == 1, || {
            format!("{suspects} suspects came in a lease of {}", leased.len())
        });
        for leased in leased {
            let suspect = leased.key.starts_with(b"suspect");
            probe.same("whether it is a suspect", leased.expiries > 0, suspect);
            probe.seen(seen.insert(leased.key), || "a record came twice");
        }
        if seen.len() == 5 {
            return Outcome::Kept;
        }
    }
    probe.broken(format_args!(
        "only {} of 5 due records were leased",
        seen.len()
    ));
}

/// An extended lease ends later, and it can be extended again and again.
pub async fn extending_keeps_a_lease<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let leased = probe.one(&events(), SHORT).await;
    for _ in 0..2 {
        probe
            .applied(&leased.lease, Action::Extend { ttl: LONG })
            .await;
        probe.pass(SHORT * 2).await;
        let state = probe.state(&record).await;
        probe.same("the state after an extension", state, Some(State::Leased));
        probe
            .none_due(&events(), "while the lease is extended")
            .await;
    }
    probe
        .applied(&leased.lease, Action::Extend { ttl: SHORT })
        .await;
    probe.pass(SHORT).await;
    let next = probe.one(&events(), LONG).await;
    probe.same("the expiries after an extension ran out", next.expiries, 1);
    let settled = probe.end(&leased.lease, Action::Extend { ttl: LONG }).await;
    probe.same("extending a lost lease", settled, Settled::Stale);
    Outcome::Kept
}

/// What has waited longest since it fell due comes first, and among equals what came first.
pub async fn leases_are_in_order_of_due_time_then_sequence<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let batch: Vec<_> = (0..20).map(|n| event(format!("at once {n:02}"))).collect();
    probe.insert(&batch).await;
    let later = event("due later").with_due_in(SHORT * 2);
    let sooner = event("due sooner").with_due_in(SHORT);
    probe.insert(&[later, sooner]).await;
    probe.pass(SHORT * 2).await;
    let mut keys = Vec::new();
    for _ in 0..8 {
        let leased = probe.lease(&events(), 3, LONG).await;
        keys.extend(leased.into_iter().map(|leased| leased.key));
    }
    let mut promised: Vec<_> = batch.into_iter().map(|record| record.key).collect();
    promised.push("due sooner".into());
    promised.push("due later".into());
    probe.same("the order of leases", keys, promised);
    Outcome::Kept
}

/// Order is by due time, not by age: what failed goes behind what is due already.
pub async fn a_failing_backlog_does_not_starve_new_work<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let backlog: Vec<_> = (0..20).map(|n| event(format!("failing {n}"))).collect();
    probe.insert(&backlog).await;
    probe.pass(SHORT).await;
    let leased = probe.lease(&events(), 20, LONG).await;
    probe.same("the backlog", leased.len(), 20);
    let new = event("new");
    probe.put_fresh(&new).await;
    probe.pass(SHORT).await;
    let retries: Vec<_> = leased
        .into_iter()
        .map(|leased| Settlement::new(leased.lease, retry_in(Duration::ZERO)))
        .collect();
    probe.settle(&retries).await;
    let next = probe.one(&events(), LONG).await;
    probe.seen(next.key == new.key, || {
        format!(
            "new work waits behind the backlog: {:?} came first",
            next.key
        )
    });
    Outcome::Kept
}

/// What is not due is not leased, however much of it there is, and does not hide what is.
///
/// That such a lease costs no more than one over nothing is part of the promise too, and is not tried
/// here, where a time would be measured: a store's own tests show it by the plan of its query.
pub async fn a_lease_over_future_records_is_empty<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for batch in 0..99 {
        let future: Vec<_> = (0..1000)
            .map(|n| NewRecord::new(events(), format!("{batch} {n}"), "").with_due_in(LONG * 24))
            .collect();
        probe.insert(&future).await;
    }
    for _ in 0..10 {
        probe
            .none_due(&events(), "over 99,000 future records")
            .await;
    }
    let now = event("now");
    probe.put_fresh(&now).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &now);
    probe
        .none_due(&events(), "when the only due record is leased")
        .await;
    Outcome::Kept
}

/// No time of day crosses the border, and the longest durations are only long.
pub async fn only_durations_cross_the_border<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    let never = [
        event("in a century").with_due_in(century),
        event("never").with_due_in(Duration::MAX),
    ];
    for record in &never {
        probe.put_fresh(record).await;
    }
    probe.none_due(&events(), "before a century").await;

    let record = event("task");
    probe.put_fresh(&record).await;
    probe.pass(SHORT).await;
    let leased = probe.one(&events(), Duration::MAX).await;
    probe.is_record(&leased, &record);
    probe.seen(leased.age >= SHORT, || {
        format!("the age {:?} is below the time that passed", leased.age)
    });
    probe.seen(leased.age < LONG, || {
        format!("the age {:?} is beyond the time that passed", leased.age)
    });
    let ttl = Duration::MAX;
    probe.applied(&leased.lease, Action::Extend { ttl }).await;
    let state = probe.state(&record).await;
    probe.same("a lease for ever", state, Some(State::Leased));
    probe.applied(&leased.lease, retry_in(Duration::MAX)).await;
    probe
        .none_due(&events(), "before a retry that never comes")
        .await;

    let done = event("done");
    probe.put_fresh(&done).await;
    let leased = probe.one(&events(), century).await;
    probe.applied(&leased.lease, Action::Done).await;
    let for_ever = Retention::default()
        .with_bodies(Duration::MAX)
        .with_keys(Duration::MAX)
        .with_dead(Duration::MAX)
        .with_quarantine(Duration::MAX);
    probe.purge(&for_ever).await;
    let state = probe.state(&done).await;
    probe.same("what is kept for ever", state, Some(State::Done));
    Outcome::Kept
}
