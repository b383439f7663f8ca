//! How leases end.

use std::{collections::HashSet, time::Duration};

use super::{
    Fixture, Outcome,
    calls::{LONG, Probe, SHORT, clause, dead, event, events, release, retry_in},
};
use crate::store::{Action, Inserted, Lease, LeaseToken, RecordId, Settled, Settlement, State};

/// Work that took too long counts, unless somebody else began it.
pub async fn an_expired_lease_that_nobody_took_still_settles<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("done late");
    probe.put_fresh(&record).await;
    let leased = probe.one(&events(), SHORT).await;
    probe.pass(SHORT * 2).await;
    let state = probe.state(&record).await;
    probe.same("the state after expiry", state, Some(State::Pending));
    probe.applied(&leased.lease, Action::Done).await;
    let state = probe.state(&record).await;
    probe.same(
        "the state after a late settlement",
        state,
        Some(State::Done),
    );
    probe.none_due(&events(), "after a late settlement").await;

    let record = event("extended late");
    probe.put_fresh(&record).await;
    let leased = probe.one(&events(), SHORT).await;
    probe.pass(SHORT * 2).await;
    probe
        .applied(&leased.lease, Action::Extend { ttl: LONG })
        .await;
    probe.none_due(&events(), "after a late extension").await;
    probe.applied(&leased.lease, retry_in(Duration::ZERO)).await;
    let leased = probe.one(&events(), LONG).await;
    probe.same(
        "the expiries of a lease that was settled late",
        leased.expiries,
        0,
    );
    Outcome::Kept
}

/// The successor's outcome counts, and only his.
pub async fn a_lease_that_was_taken_over_is_stale<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    let old = probe.one(&events(), SHORT).await;
    probe.pass(SHORT).await;
    let new = probe.one(&events(), LONG).await;
    let stale = async |state: State| {
        let extend = Action::Extend { ttl: LONG };
        for action in [
            Action::Done,
            dead(),
            Action::Disown,
            retry_in(Duration::ZERO),
            release(),
            extend,
        ] {
            let what = format!("settling a lost lease with {action:?}");
            let settled = probe.end(&old.lease, action).await;
            probe.same(&what, settled, Settled::Stale);
            let now = probe.state(&record).await;
            probe.same("the state after a stale settlement", now, Some(state));
        }
    };
    stale(State::Leased).await;
    probe.applied(&new.lease, Action::Done).await;
    stale(State::Done).await;

    let nobodys = Lease::new(events(), RecordId::random(), LeaseToken::random());
    let settled = probe.end(&nobodys, Action::Done).await;
    probe.same("a token that the store never gave", settled, Settled::Stale);
    Outcome::Kept
}

/// A settlement whose outcome was lost is repeated: it is applied, and changes nothing.
pub async fn a_repeated_settlement_is_applied<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let endings = [
        ("done", Action::Done, Some(State::Done)),
        ("dead", dead(), Some(State::Dead)),
        ("retried", retry_in(LONG), Some(State::Pending)),
        (
            "released",
            Action::Release { after: LONG },
            Some(State::Pending),
        ),
        ("disowned", Action::Disown, None),
    ];
    for (key, action, state) in endings {
        let record = event(key);
        probe.put_fresh(&record).await;
        let leased = probe.one(&events(), LONG).await;
        for time in ["the first time", "the second time", "the third time"] {
            let what = format!("settling with {action:?} {time}");
            let settled = probe.end(&leased.lease, action.clone()).await;
            probe.same(&what, settled, Settled::Applied);
            let now = probe.state(&record).await;
            probe.same("the state", now, state);
        }
        probe
            .none_due(&events(), "after a repeated settlement")
            .await;
    }

    probe.put_fresh(&event("counted")).await;
    let first = probe.one(&events(), LONG).await;
    probe.applied(&first.lease, retry_in(Duration::ZERO)).await;
    let second = probe.one(&events(), LONG).await;
    probe.applied(&second.lease, release()).await;
    probe.applied(&second.lease, release()).await;
    let third = probe.one(&events(), LONG).await;
    probe.same("the attempt after one release told twice", third.attempt, 2);
    let settled = probe.end(&first.lease, retry_in(LONG)).await;
    probe.same(
        "a settlement repeated after another lease",
        settled,
        Settled::Stale,
    );
    Outcome::Kept
}

/// Each settlement of a batch is answered for itself, and one that is stale harms no other, also
/// while others lease.
pub async fn a_mixed_batch_settles_item_by_item<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..20 {
        let records: Vec<_> = (0..5).map(|n| event(format!("{round} {n}"))).collect();
        probe.insert(&records).await;
        let leased = probe.lease(&events(), 5, LONG).await;
        probe.same("records that are due", leased.len(), 5);
        let lease = |n: usize| leased[n].lease.clone();
        let stranger = Lease::new(events(), records[0].id, LeaseToken::random());
        let settlements = [
            Settlement::new(lease(0), Action::Done),
            Settlement::new(stranger, Action::Done),
            Settlement::new(lease(1), retry_in(LONG)),
            Settlement::new(lease(2), dead()),
            Settlement::new(lease(3), Action::Disown),
            Settlement::new(lease(4), Action::Extend { ttl: LONG }),
            Settlement::new(lease(0), Action::Done),
        ];
        let others = (0..2).map(|_| {
            let calls = probe.calls();
            async move {
                for _ in 0..10 {
                    calls.none_due(&events(), "while all is leased").await;
                    tokio::task::yield_now().await;
                }
            }
        });
        let (answers, _) = tokio::join!(probe.settle(&settlements), probe.all(others));
        let mut promised = vec![Settled::Applied; 7];
        promised[1] = Settled::Stale;
        probe.same("a mixed batch", answers, promised);
        let states = [
            Some(State::Done),
            Some(State::Pending),
            Some(State::Dead),
            None,
            Some(State::Leased),
        ];
        for (record, state) in records.iter().zip(states) {
            let now = probe.state(record).await;
            probe.same("the state after a mixed batch", now, state);
        }
    }
    for round in 0..10 {
        settles_what_others_look_at(&probe, round).await;
    }
    let answers = probe.settle(&[]).await;
    probe.same("an empty batch", answers, Vec::new());
    Outcome::Kept
}

/// What expired is due, and so in the hands of whoever leases at this moment. He looks at many, and
/// since each is a suspect, takes one: all others are still to be settled.
async fn settles_what_others_look_at<F: Fixture>(probe: &Probe<'_, F>, round: usize) {
    const RECORDS: usize = 20;
    let records: Vec<_> = (0..RECORDS)
        .map(|n| event(format!("expired {round} {n}")))
        .collect();
    probe.insert(&records).await;
    let leased = probe.lease(&events(), RECORDS, SHORT).await;
    probe.same("records that are due", leased.len(), RECORDS);
    probe.pass(SHORT * 2).await;
    let endings = [Action::Done, retry_in(LONG), dead(), Action::Disown];
    let settlements: Vec<_> = leased
        .iter()
        .zip(endings.iter().cycle())
        .map(|(leased, ending)| Settlement::new(leased.lease.clone(), ending.clone()))
        .collect();
    let others = (0..2).map(|_| {
        let calls = probe.calls();
        async move {
            let mut taken = Vec::new();
            for _ in 0..3 {
                taken.extend(calls.lease(&events(), RECORDS, LONG).await);
                tokio::task::yield_now().await;
            }
            taken
        }
    });
    let settling = async {
        // The others first: a store that never waits would be done before they look.
        tokio::task::yield_now().await;
        probe.settle(&settlements).await
    };
    let (taken, answers) = tokio::join!(probe.all(others), settling);
    let taken: HashSet<RecordId> = taken.iter().flatten().map(|one| one.lease.id).collect();
    for (settlement, answer) in settlements.iter().zip(answers) {
        let promised = match taken.contains(&settlement.lease.id) {
            true => Settled::Stale,
            false => Settled::Applied,
        };
        probe.same(
            "settling what expired, while others lease",
            answer,
            promised,
        );
    }
}

/// What was disowned is forgotten: the next insert of its key is a new event.
pub async fn disown_frees_the_key<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let first = event("task");
    probe.put_fresh(&first).await;
    let leased = probe.one(&events(), LONG).await;
    probe.applied(&leased.lease, Action::Disown).await;
    let state = probe.state(&first).await;
    probe.same("the state after disown", state, None);
    let second = event("task");
    let answer = probe.put(&second).await;
    probe.same("the key after disown", answer, Inserted::Fresh);
    probe.end(&leased.lease, Action::Disown).await;
    let next = probe.one(&events(), LONG).await;
    probe.is_record(&next, &second);
    probe.same("the attempt after disown", next.attempt, 1);
    Outcome::Kept
}
