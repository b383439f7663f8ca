//! What a durable store knows when it is opened again.

use std::{future::poll_fn, slice, task::Poll, time::Duration};

use super::{
    Fixture, Need, Outcome,
    calls::{LONG, Probe, clause, dead, event, events, ranked, retry_in},
};
use crate::store::{Action, Durability, Inbox, Inserted, Queue, Settled, State};

/// Records in every state, with their content, counts and answers.
pub async fn what_was_acknowledged_survives_reopening<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    if probe.store().durability() == Durability::Volatile {
        return Need::Durability.does_not_apply();
    }
    let (done, given_up, failed) = (event("done"), event("dead"), ranked("failed", 1));
    let later = event("later").with_due_in(LONG);
    for (record, action) in [
        (&done, Action::Done),
        (&given_up, dead()),
        (&failed, retry_in(Duration::ZERO)),
    ] {
        probe.put_fresh(record).await;
        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, record);
        probe.applied(&leased.lease, action).await;
    }
    probe.put_fresh(&later).await;

    let probe = probe.reopen().await;
    for (record, state) in [
        (&done, State::Done),
        (&given_up, State::Dead),
        (&failed, State::Pending),
        (&later, State::Pending),
    ] {
        let found = probe.known(record).await;
        probe.same("the id after reopening", found.id, record.id);
        probe.same("the state after reopening", found.state, state);
        probe.same("the rank after reopening", found.rank, record.rank);
        probe.same(
            "the body after reopening",
            found.body,
            Some(record.body.clone()),
        );
        let answer = probe.put(record).await;
        probe.same("the same id after reopening", answer, Inserted::Fresh);
        let mut repeat = event(record.key.clone());
        repeat.body = record.body.clone();
        let answer = probe.put(&repeat).await;
        let promised = Inserted::Duplicate {
            id: record.id,
            rank: record.rank,
            state,
            differs: false,
        };
        probe.same("another id after reopening", answer, promised);
    }
    let answer = probe.put(&ranked("done", 1)).await;
    probe.same("a higher rank after reopening", answer, Inserted::Upgraded);
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &failed);
    probe.same("the attempt after reopening", leased.attempt, 2);
    let leased = probe.one(&events(), LONG).await;
    probe.same("the rank of the upgrade", leased.rank, 1);
    probe
        .none_due(&events(), "when all that is due is leased")
        .await;
    Outcome::Kept
}

/// Whoever holds a lease holds it still, and its token is nobody else's.
pub async fn leases_and_tokens_survive_reopening<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    if probe.store().durability() == Durability::Volatile {
        return Need::Durability.does_not_apply();
    }
    let (held, other) = (event("held"), event("other"));
    probe.put_fresh(&held).await;
    let old = probe.one(&events(), LONG).await.lease;
    let answer = probe.put(&ranked("held", 1)).await;
    probe.same("an upgrade while leased", answer, Inserted::Upgraded);
    let mut tokens = vec![old.token];
    probe.put_fresh(&other).await;
    for _ in 0..3 {
        let leased = probe.one(&events(), LONG).await;
        tokens.push(leased.lease.token);
        probe.applied(&leased.lease, retry_in(Duration::ZERO)).await;
    }
    let last = tokens[3];

    let probe = probe.reopen().await;
    let found = probe.known(&other).await;
    probe.same(
        "the last settlement after reopening",
        found.settled_by,
        Some(last),
    );
    let state = probe.state(&held).await;
    probe.same(
        "what is leased, after reopening",
        state,
        Some(State::Leased),
    );
    let next = probe.one(&events(), LONG).await;
    probe.is_record(&next, &other);
    probe.same("the attempt after reopening", next.attempt, 4);
    probe.seen(
        !tokens.contains(&next.lease.token),
        || "a token from before came again after reopening",
    );
    probe.applied(&old, Action::Extend { ttl: LONG }).await;
    probe.applied(&old, Action::Done).await;
    let upgraded = probe.one(&events(), LONG).await;
    probe.same("the upgrade after the old lease", upgraded.rank, 1);
    let settled = probe.end(&old, Action::Done).await;
    probe.same("the old lease after the new one", settled, Settled::Stale);
    let found = probe.find(&Queue::events("nobody"), b"held").await;
    probe.seen(found.is_none(), || "a key crossed queues on reopening");
    Outcome::Kept
}

/// Whoever is told that somebody else's copy has the key can rely on it, also when that one's call was
/// dropped meanwhile: the copy is kept, or he is not told so.
pub async fn a_duplicate_of_a_dropped_insert_survives_reopening<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let mut probe = Probe::open(clause!(), fixture).await;
    if probe.store().durability() == Durability::Volatile {
        return Need::Durability.does_not_apply();
    }
    for polls in 0..8 {
        let first = event(format!("task {polls}"));
        let second = event(first.key.clone());
        let mut dropped = Box::pin(probe.store().insert(slice::from_ref(&first)));
        for _ in 0..polls {
            if poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context).is_ready())).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut put = Box::pin(probe.put(&second));
        // Both are under way when the first is dropped.
        let answer = poll_fn(|context| Poll::Ready(put.as_mut().poll(context))).await;
        drop(dropped);
        let answer = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => put.as_mut().await,
        };
        drop(put);
        let promised = match answer {
            Inserted::Fresh => second.id,
            Inserted::Duplicate { .. } => first.id,
            other => probe.broken(format_args!("a second copy: {other:?}")),
        };
        probe = probe.reopen().await;
        let found = probe.known(&second).await;
        probe.same("the copy that was spoken of", found.id, promised);
    }
    Outcome::Kept
}
