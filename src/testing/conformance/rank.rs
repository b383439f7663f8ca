//! Failure and success of one task: the higher rank wins, whatever the first is doing.

use super::{
    Fixture, Outcome,
    calls::{LONG, Probe, SHORT, clause, dead, events, ranked, release, retry_in},
};
use crate::store::{Action, Inserted, Settled, State};

/// Content and rank are replaced, and attempts start again.
pub async fn a_higher_rank_replaces_what_is_pending<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let (failure, success) = (ranked("task", 0), ranked("task", 1));
    probe.put_fresh(&failure).await;
    probe.one(&events(), SHORT).await;
    probe.pass(SHORT).await;
    let leased = probe.one(&events(), LONG).await;
    probe.same("the expiries before an upgrade", leased.expiries, 1);
    probe.applied(&leased.lease, retry_in(LONG)).await;
    let answer = probe.put(&success).await;
    probe.same("a higher rank", answer, Inserted::Upgraded);
    let answer = probe.put(&success).await;
    probe.same("the upgrade repeated", answer, Inserted::Fresh);

    let found = probe.known(&success).await;
    probe.same("the id after an upgrade", found.id, success.id);
    probe.same("the rank after an upgrade", found.rank, 1);
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &success);
    probe.same("the attempt after an upgrade", leased.attempt, 1);
    probe.same("the expiries after an upgrade", leased.expiries, 0);
    probe.applied(&leased.lease, retry_in(LONG)).await;

    let later = ranked("task", 2).with_due_in(LONG);
    let answer = probe.put(&later).await;
    probe.same("a third rank", answer, Inserted::Upgraded);
    probe
        .none_due(&events(), "after an upgrade with a delay")
        .await;
    Outcome::Kept
}

/// An upgrade lives again after done and dead.
pub async fn a_higher_rank_revives_what_is_done_or_dead<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for (key, ending) in [("done", Action::Done), ("dead", dead())] {
        let (failure, success) = (ranked(key, 0), ranked(key, 1));
        probe.put_fresh(&failure).await;
        let leased = probe.one(&events(), LONG).await;
        probe.applied(&leased.lease, ending.clone()).await;
        let answer = probe.put(&success).await;
        probe.same("a higher rank after the end", answer, Inserted::Upgraded);
        for _ in 0..2 {
            let state = probe.state(&success).await;
            probe.same("the state after an upgrade", state, Some(State::Pending));
            // Repeated because its answer was lost: whatever it is told, it was for the old content.
            probe.end(&leased.lease, ending.clone()).await;
        }
        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, &success);
        probe.same("the attempt after an upgrade", leased.attempt, 1);
        probe.applied(&leased.lease, Action::Done).await;
        probe.none_due(&events(), "after failure and success").await;
        let found = probe.known(&success).await;
        probe.same("the id in the end", found.id, success.id);
        probe.same("the state in the end", found.state, State::Done);
    }
    Outcome::Kept
}

/// No late failure undoes a success, in whatever state that is.
pub async fn a_lower_rank_changes_nothing<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let success = ranked("task", 1);
    probe.put_fresh(&success).await;
    let ignored = async |state: State| {
        let answer = probe.put(&ranked("task", 0)).await;
        let promised = Inserted::Duplicate {
            id: success.id,
            rank: 1,
            state,
            differs: true,
        };
        probe.same("a lower rank", answer, promised);
        let found = probe.known(&success).await;
        probe.same("the rank after a lower one", found.rank, 1);
        probe.same("the state after a lower rank", found.state, state);
    };
    ignored(State::Pending).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &success);
    ignored(State::Leased).await;
    probe.applied(&leased.lease, Action::Done).await;
    ignored(State::Done).await;
    probe.none_due(&events(), "after a lower rank").await;
    Outcome::Kept
}

/// The lease stays good, and the new content is due when it ends, however it ends.
pub async fn an_upgrade_while_leased_is_due_when_the_lease_ends<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let endings = [
        ("done", Some(Action::Done)),
        ("retried", Some(retry_in(LONG))),
        ("released", Some(release())),
        ("dead", Some(dead())),
        ("disowned", Some(Action::Disown)),
        ("expired", None),
    ];
    for (key, ending) in endings {
        let (failure, success) = (ranked(key, 0), ranked(key, 1));
        probe.put_fresh(&failure).await;
        let ttl = if ending.is_some() { LONG } else { SHORT };
        let old = probe.one(&events(), ttl).await;
        let answer = probe.put(&success).await;
        probe.same("a higher rank while leased", answer, Inserted::Upgraded);
        let found = probe.known(&success).await;
        probe.same("the id while the lease goes on", found.id, success.id);

        if let Some(ending) = &ending {
            let state = probe.state(&success).await;
            probe.same(
                "the state while the lease goes on",
                state,
                Some(State::Leased),
            );
            probe
                .none_due(&events(), "while the old lease is good")
                .await;
            probe
                .applied(&old.lease, Action::Extend { ttl: LONG })
                .await;
            probe
                .none_due(&events(), "while the old lease is extended")
                .await;
            probe.applied(&old.lease, ending.clone()).await;
            let state = probe.state(&success).await;
            probe.same("the state after the old lease", state, Some(State::Pending));
        } else {
            probe.pass(SHORT).await;
        }

        let new = probe.one(&events(), LONG).await;
        probe.is_record(&new, &success);
        probe.same("the attempt of the new content", new.attempt, 1);
        probe.same("the expiries of the new content", new.expiries, 0);
        let settled = probe.end(&old.lease, Action::Done).await;
        probe.same("the old lease after the new one", settled, Settled::Stale);
        probe.applied(&new.lease, Action::Done).await;
        let state = probe.state(&success).await;
        probe.same("the state in the end", state, Some(State::Done));
        probe.none_due(&events(), "after failure and success").await;
    }
    Outcome::Kept
}

/// The delay of an upgrade counts from the upgrade, and the lease is waited for all the same.
pub async fn an_upgrade_while_leased_keeps_its_delay<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe.put_fresh(&ranked("task", 0)).await;
    let old = probe.one(&events(), LONG).await;
    let later = ranked("task", 1).with_due_in(LONG);
    let answer = probe.put(&later).await;
    probe.same("an upgrade with a delay", answer, Inserted::Upgraded);
    probe.applied(&old.lease, Action::Done).await;
    probe
        .none_due(&events(), "before the delay of the upgrade")
        .await;
    let state = probe.state(&later).await;
    probe.same("the state before its delay", state, Some(State::Pending));

    probe.put_fresh(&ranked("other", 0)).await;
    let old = probe.one(&events(), LONG).await;
    let soon = ranked("other", 1).with_due_in(SHORT);
    let answer = probe.put(&soon).await;
    probe.same("an upgrade with a short delay", answer, Inserted::Upgraded);
    probe.pass(SHORT).await;
    probe
        .none_due(&events(), "after the delay, while the old lease is good")
        .await;
    probe.applied(&old.lease, Action::Done).await;
    let new = probe.one(&events(), LONG).await;
    probe.is_record(&new, &soon);
    Outcome::Kept
}

/// A lease that expired still settles while nobody took it, but it can only end what it was for.
pub async fn a_late_settlement_does_not_end_newer_content<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for upgrade_first in [true, false] {
        for ending in [Action::Done, dead(), Action::Disown, retry_in(LONG)] {
            let key = format!("{upgrade_first} {ending:?}");
            let (failure, success) = (ranked(key.clone(), 0), ranked(key, 1));
            probe.put_fresh(&failure).await;
            let old = probe.one(&events(), SHORT).await;
            if !upgrade_first {
                probe.pass(SHORT).await;
            }
            let answer = probe.put(&success).await;
            probe.same("a higher rank", answer, Inserted::Upgraded);
            if upgrade_first {
                probe.pass(SHORT).await;
            }
            // Whether the token was retired by the upgrade is the store's affair.
            probe.end(&old.lease, ending).await;
            let new = probe.one(&events(), LONG).await;
            probe.is_record(&new, &success);
            probe.same("the attempt of the new content", new.attempt, 1);
            probe.applied(&new.lease, Action::Done).await;
        }
    }
    Outcome::Kept
}
