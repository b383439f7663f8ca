//! Many callers at once.

use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::{
    Fixture, Outcome,
    calls::{Calls, LONG, Probe, clause, event, events, ranked, retry_in},
};
use crate::store::{Action, Inbox, Inserted, NewRecord, Settled, Settlement, State, Store};

/// However many carry one key at one time: one is fresh, all others are its duplicates, and each of
/// them finds it at once.
pub async fn concurrent_inserts_of_one_key_make_one_record<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..10 {
        let inserts = (0..32).map(|_| {
            let calls = probe.calls();
            async move {
                let record = event(format!("task {round}"));
                let answer = calls.put(&record).await;
                let found = calls.known(&record).await.id;
                (record, answer, found)
            }
        });
        let answers = probe.all(inserts).await;
        let fresh: Vec<_> = answers
            .iter()
            .filter(|(_, answer, _)| *answer == Inserted::Fresh)
            .map(|(record, ..)| record.id)
            .collect();
        probe.same("fresh answers for one key", fresh.len(), 1);
        for (_, answer, found) in &answers {
            probe.same("what a caller found after its answer", *found, fresh[0]);
            match answer {
                Inserted::Fresh => {}
                Inserted::Duplicate { id, differs, .. } => {
                    probe.same("what a duplicate is one of", *id, fresh[0]);
                    probe.same("whether equal bodies differ", *differs, false);
                }
                other => probe.broken(format_args!("a concurrent insert: {other:?}")),
            }
        }
        let leased = probe.lease(&events(), 32, LONG).await;
        probe.same("records of one key", leased.len(), 1);
        probe.applied(&leased[0].lease, Action::Done).await;
    }

    // The same for ranks: the highest wins, and is told so.
    let inserts = (0..16u16).map(|rank| {
        let calls = probe.calls();
        async move { calls.put(&ranked("ranks", rank)).await }
    });
    let answers = probe.all(inserts).await;
    let fresh = |answer: &&Inserted| **answer == Inserted::Fresh;
    probe.same("fresh answers", answers.iter().filter(fresh).count(), 1);
    let found = probe.known(&event("ranks")).await;
    probe.same("the rank that won", found.rank, 15);
    Outcome::Kept
}

/// Two callers whose batches name the same records in opposite order both come to an end.
pub async fn batches_in_opposite_order_do_not_deadlock<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..10u16 {
        let forth: Vec<_> = (0..50)
            .map(|n| ranked(format!("task {n}"), round))
            .collect();
        let mut back: Vec<_> = (0..50)
            .map(|n| ranked(format!("task {n}"), round))
            .collect();
        back.reverse();
        let inserts = [forth, back].map(|batch| {
            let calls = probe.calls();
            async move { calls.insert(&batch).await }
        });
        let answers = probe.all(inserts).await.concat();
        let duplicates = answers
            .iter()
            .filter(|answer| matches!(answer, Inserted::Duplicate { .. }))
            .count();
        probe.same("duplicates of two equal batches", duplicates, 50);

        let leased = probe.lease(&events(), 50, LONG).await;
        probe.same("records that are due", leased.len(), 50);
        let forth: Vec<_> = leased
            .into_iter()
            .map(|leased| Settlement::new(leased.lease, Action::Done))
            .collect();
        let mut back = forth.clone();
        back.reverse();
        let settles = [forth, back].map(|batch| {
            let calls = probe.calls();
            async move { calls.settle(&batch).await }
        });
        for settled in probe.all(settles).await.concat() {
            probe.same(
                "a settlement told by two callers",
                settled,
                Settled::Applied,
            );
        }
    }
    Outcome::Kept
}

/// Heartbeats and new events do not wait for who leases and settles.
pub async fn inserting_and_extending_go_on_while_others_lease_and_settle<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe.put_fresh(&event("held")).await;
    let held = probe.one(&events(), LONG).await.lease;
    let busy = (0..2).map(|_| {
        let calls = probe.calls();
        async move {
            for _ in 0..25 {
                let leased = calls.lease(&events(), 5, LONG).await;
                let settlements: Vec<_> = leased
                    .into_iter()
                    .map(|leased| Settlement::new(leased.lease, retry_in(Duration::ZERO)))
                    .collect();
                for settled in calls.settle(&settlements).await {
                    calls.same("a retry", settled, Settled::Applied);
                }
            }
        }
    });
    let beats = async {
        for n in 0..25 {
            let record = event(format!("new {n}"));
            probe.put_fresh(&record).await;
            let answer = probe.put(&event(format!("new {n}"))).await;
            probe.seen(matches!(answer, Inserted::Duplicate { .. }), || {
                format!("a repeat among others: promised a duplicate, seen {answer:?}")
            });
            probe.applied(&held, Action::Extend { ttl: LONG }).await;
            // So that a store that never waits lets the others in too.
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(probe.all(busy), beats);
    probe.applied(&held, Action::Done).await;
    Outcome::Kept
}

/// Inserted by many, repeated, leased by many: each record is handled once.
pub async fn many_callers_lose_nothing_and_double_nothing<F: Fixture>(fixture: &F) -> Outcome {
    const CALLERS: usize = 4;
    const RECORDS: usize = 500;
    let probe = Probe::open(clause!(), fixture).await;
    let inserters = (0..CALLERS).map(|caller| {
        let calls = probe.calls();
        async move {
            let mut fresh = 0;
            for batch in 0..RECORDS / 10 {
                // Every caller brings every key, each beginning elsewhere.
                let first = (batch + caller * 13) % (RECORDS / 10) * 10;
                let records: Vec<_> = (first..first + 10)
                    .map(|n| event(format!("task {n}")))
                    .collect();
                let answers = calls.insert(&records).await;
                fresh += answers.iter().filter(|a| **a == Inserted::Fresh).count();
            }
            fresh
        }
    });
    let fresh: usize = probe.all(inserters).await.into_iter().sum();
    probe.same("new keys in all", fresh, RECORDS);

    let workers = (0..CALLERS).map(|_| {
        let calls = probe.calls();
        async move { drain(&calls).await }
    });
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

/// Leases and settles until nothing is due. What was handled, by key.
pub(super) async fn drain<S: Store>(calls: &Calls<S>) -> Vec<bytes::Bytes> {
    let mut handled = Vec::new();
    loop {
        let leased = calls.lease(&events(), 7, LONG).await;
        if leased.is_empty() {
            return handled;
        }
        let settlements: Vec<_> = leased
            .iter()
            .map(|leased| Settlement::new(leased.lease.clone(), Action::Done))
            .collect();
        for settled in calls.settle(&settlements).await {
            calls.same("a lease that nobody else has", settled, Settled::Applied);
        }
        handled.extend(leased.into_iter().map(|leased| leased.key));
    }
}

/// A call that is dropped halfway was made or was not, and the store goes on.
pub async fn a_dropped_call_leaves_the_store_whole<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let mut records: HashMap<_, NewRecord> = HashMap::new();
    for polls in 0..8 {
        let record = event(format!("inserted {polls}"));
        poll_and_drop(polls, probe.store().insert(std::slice::from_ref(&record))).await;
        // Whether it is in or not, the repeat of the same insert is the same insert.
        probe.put_fresh(&record).await;
        let found = probe.known(&record).await;
        probe.same("a record after a dropped insert", found.id, record.id);
        records.insert(record.key.clone(), record);
    }
    for polls in 0..8 {
        let ttl = Duration::from_millis(1);
        poll_and_drop(polls, probe.store().lease(&events(), 10, ttl)).await;
    }
    for _ in 0..8 {
        let leased = probe.one(&events(), LONG).await;
        let Some(record) = records.remove(&leased.key) else {
            probe.broken("a record was leased twice after dropped calls");
        };
        probe.is_record(&leased, &record);
        let done = [Settlement::new(leased.lease.clone(), Action::Done)];
        poll_and_drop(records.len(), probe.store().settle(&done)).await;
        probe.applied(&leased.lease, Action::Done).await;
        let state = probe.state(&record).await;
        probe.same("the state after a dropped settle", state, Some(State::Done));
    }
    probe.none_due(&events(), "when all is done").await;
    Outcome::Kept
}

/// Polls a call so many times, with some time for others in between, and drops it.
async fn poll_and_drop<T>(polls: usize, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}
