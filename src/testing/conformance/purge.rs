//! What is forgotten, and when.

use std::time::{Duration, Instant};

use super::{
    Fixture, Outcome,
    calls::{LONG, Probe, SHORT, clause, dead, event, events, ranked, retry_in},
};
use crate::store::{Action, Inserted, NewRecord, Retention, State};

fn nothing_kept() -> Retention {
    Retention::default()
        .with_bodies(Duration::ZERO)
        .with_keys(Duration::ZERO)
        .with_dead(Duration::ZERO)
}

async fn finish<F: Fixture>(probe: &Probe<'_, F>, record: &NewRecord, action: Action) {
    probe.put_fresh(record).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, record);
    probe.applied(&leased.lease, action).await;
}

/// An event that took long to handle is remembered as long as one that did not.
pub async fn purge_counts_from_settlement<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let age = SHORT * 10;
    let retention = nothing_kept().with_keys(age).with_dead(age);
    // Where the machine stood still for that long between settlement and purge, it proves nothing.
    for attempt in 0..10 {
        let done = event(format!("done {attempt}"));
        let given_up = event(format!("dead {attempt}"));
        probe.insert(&[done.clone(), given_up.clone()]).await;
        let leased = probe.lease(&events(), 2, LONG).await;
        probe.same("records that are due", leased.len(), 2);
        probe.pass(age * 2).await;
        let start = Instant::now();
        probe.applied(&leased[0].lease, Action::Done).await;
        probe.applied(&leased[1].lease, dead()).await;
        probe.purge(&retention).await;
        let states = (probe.state(&done).await, probe.state(&given_up).await);
        if start.elapsed() >= age {
            continue;
        }
        let promised = (Some(State::Done), Some(State::Dead));
        probe.same("what was settled a moment ago", states, promised);
        probe.pass(age).await;
        probe.purge(&retention).await;
        let states = (probe.state(&done).await, probe.state(&given_up).await);
        probe.same("what was settled long ago", states, (None, None));
        let answer = probe.put(&event(format!("done {attempt}"))).await;
        probe.same("a key that was forgotten", answer, Inserted::Fresh);
        return Outcome::Kept;
    }
    probe.broken("the machine was too slow to show it, ten times");
}

/// However old it is: waiting, in somebody's hands, failed, or upgraded.
pub async fn purge_never_takes_what_is_pending<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let failed = event("failed");
    probe.put_fresh(&failed).await;
    let leased = probe.one(&events(), LONG).await;
    probe.applied(&leased.lease, retry_in(LONG)).await;
    let held = event("leased");
    probe.put_fresh(&held).await;
    let lease = probe.one(&events(), LONG).await.lease;
    let revived = event("revived");
    finish(&probe, &revived, Action::Done).await;
    let upgrade = NewRecord::new(events(), "revived", "upgrade").with_rank(1);
    let answer = probe.put(&upgrade).await;
    probe.same("a higher rank", answer, Inserted::Upgraded);
    let waiting = event("waiting").with_due_in(LONG);
    probe.put_fresh(&waiting).await;
    probe.pass(SHORT).await;
    probe.purge(&nothing_kept()).await;
    for (record, state) in [
        (&failed, State::Pending),
        (&held, State::Leased),
        (&upgrade, State::Pending),
        (&waiting, State::Pending),
    ] {
        let now = probe.state(record).await;
        probe.same("what is not settled, after a purge", now, Some(state));
    }
    probe.applied(&lease, Action::Done).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &upgrade);
    Outcome::Kept
}

/// Bodies go before keys, and dead letters have an age of their own.
pub async fn purge_forgets_bodies_keys_and_dead_letters_each_by_its_own_age<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let (done, given_up) = (event("done"), event("dead"));
    finish(&probe, &done, Action::Done).await;
    finish(&probe, &given_up, dead()).await;
    probe.purge(&Retention::default()).await;
    let found = probe.known(&done).await;
    probe.same(
        "the body of what is done",
        found.body,
        Some(done.body.clone()),
    );

    let only = |bodies, keys, dead| {
        let age = |now: bool| if now { Duration::ZERO } else { LONG };
        Retention::default()
            .with_bodies(age(bodies))
            .with_keys(age(keys))
            .with_dead(age(dead))
    };
    probe.pass(SHORT).await;
    let records = probe.purge(&only(true, false, false)).await;
    probe.same("records that lost their body", records, 1);
    let found = probe.known(&done).await;
    probe.same("the state after its body went", found.state, State::Done);
    probe.same("the body after its age", found.body, None);
    let found = probe.known(&given_up).await;
    probe.same(
        "the body of a dead letter",
        found.body,
        Some(given_up.body.clone()),
    );
    let answer = probe.put(&event("done")).await;
    let promised = Inserted::Duplicate {
        id: done.id,
        rank: 0,
        state: State::Done,
        differs: false,
    };
    probe.same("a repeat after the body went", answer, promised);

    probe.purge(&only(true, false, true)).await;
    let states = (probe.state(&done).await, probe.state(&given_up).await);
    probe.same(
        "after the age of the dead",
        states,
        (Some(State::Done), None),
    );
    probe.purge(&only(true, true, true)).await;
    let state = probe.state(&done).await;
    probe.same("after the age of keys", state, None);
    let records = probe.purge(&only(true, true, true)).await;
    probe.same("records of a purge with nothing to do", records, 0);

    finish(&probe, &event("both"), Action::Done).await;
    finish(&probe, &event("free"), Action::Disown).await;
    probe.pass(SHORT).await;
    let records = probe.purge(&only(true, true, true)).await;
    probe.same("records that lost body and key at once", records, 1);
    Outcome::Kept
}

/// A repeat that comes while its key is forgotten is a duplicate or a new event, and then it is there.
/// So is what has a higher rank, as an upgrade or as a new event.
pub async fn purge_and_a_duplicate_race_safely<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..20 {
        let keys: Vec<_> = (0..10).map(|n| format!("{round} {n}")).collect();
        for key in &keys {
            finish(&probe, &event(key.clone()), Action::Done).await;
        }
        let repeats = (0..).zip(&keys);
        let repeats: Vec<_> = repeats.map(|(n, key)| ranked(key.clone(), n % 2)).collect();
        let inserts = repeats.iter().cloned().map(|record| {
            let calls = probe.calls();
            async move { (calls.put(&record).await, record) }
        });
        let retention = nothing_kept();
        let (_, answers) = tokio::join!(probe.purge(&retention), probe.all(inserts));
        probe.purge(&retention).await;
        let mut fresh = 0;
        for (answer, record) in answers {
            match answer {
                Inserted::Fresh | Inserted::Upgraded => {
                    fresh += 1;
                    let found = probe.known(&record).await;
                    probe.same("what was acknowledged in the race", found.id, record.id);
                    probe.same("its state", found.state, State::Pending);
                }
                Inserted::Duplicate {
                    state: State::Done, ..
                } if record.rank == 0 => {
                    let state = probe.state(&record).await;
                    probe.same("what was a duplicate of the forgotten", state, None);
                }
                other => probe.broken(format_args!("a repeat in the race: {other:?}")),
            }
        }
        let leased = probe.lease(&events(), 20, LONG).await;
        probe.same("new events after the race", leased.len(), fresh);
        for leased in leased {
            probe.applied(&leased.lease, Action::Done).await;
        }
        probe.purge(&retention).await;
    }
    Outcome::Kept
}
