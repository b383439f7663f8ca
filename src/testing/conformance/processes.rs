//! Other processes on the same place, which are killed, or know the wrong day.

use std::{
    collections::HashSet,
    slice,
    time::{Duration, Instant},
};

use super::{
    Fixture, Need, Outcome, Process,
    calls::{Calls, LONG, Probe, SHORT, clause, event, events, retry_in},
    crowd::drain,
};
use crate::store::{
    Action, Inbox, Inserted, NewRecord, Retention, Settled, Settlement, State, Store,
};

/// Another process on the place of the probe.
async fn start<F: Fixture>(probe: &Probe<'_, F>, days_off: i64) -> Option<Calls<Process>> {
    let process = probe.process(days_off).await?;
    Some(probe.beside(process))
}

/// Each key is one record, and each record is handled once, however many processes carry it.
pub async fn many_processes_lose_nothing_and_double_nothing<F: Fixture>(fixture: &F) -> Outcome {
    const RECORDS: usize = 100;
    let probe = Probe::open(clause!(), fixture).await;
    let mut processes = Vec::new();
    for _ in 0..3 {
        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        processes.push(process);
    }
    let inserters = processes.iter().cloned().map(|calls| async move {
        let mut fresh = 0;
        for n in 0..RECORDS / 5 {
            let batch: Vec<_> = (0..5).map(|k| event(format!("task {n} {k}"))).collect();
            let answers = calls.insert(&batch).await;
            fresh += answers.iter().filter(|a| **a == Inserted::Fresh).count();
        }
        fresh
    });
    let fresh: usize = probe.all(inserters).await.into_iter().sum();
    probe.same("new keys in all", fresh, RECORDS);
    let workers = processes
        .into_iter()
        .map(|calls| async move { drain(&calls).await });
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

/// Killed after each call: what was answered stands, and others go on from there.
pub async fn what_a_killed_process_was_answered_stands<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    // After an insert.
    let record = event("task");
    let Some(process) = start(&probe, 0).await else {
        return Need::Processes.does_not_apply();
    };
    process.put_fresh(&record).await;
    process.store().kill();
    let found = probe.known(&record).await;
    probe.same("what it inserted", found.id, record.id);
    let answer = probe.put(&record).await;
    probe.same("its insert repeated", answer, Inserted::Fresh);

    // After a lease, which counted as an attempt and goes on until it expires.
    let Some(process) = start(&probe, 0).await else {
        return Need::Processes.does_not_apply();
    };
    let leased = process.lease(&events(), 1, SHORT * 5).await;
    probe.same("records that were due", leased.len(), 1);
    let start_of_wait = Instant::now();
    process.store().kill();
    let state = probe.state(&record).await;
    // Where the machine stood still, the lease may have ended.
    if start_of_wait.elapsed() < SHORT {
        probe.same("what it leased", state, Some(State::Leased));
    }
    probe.pass(SHORT * 5).await;
    let next = probe.one(&events(), LONG).await;
    probe.same("the attempt after it was killed", next.attempt, 2);
    probe.same("the expiries after it was killed", next.expiries, 1);
    let settled = probe.end(&leased[0].lease, Action::Done).await;
    probe.same("its lease, after another one", settled, Settled::Stale);

    // After each way to settle; the lease is whoever's has the token.
    for (key, action, state) in [
        ("retried", retry_in(LONG), Some(State::Pending)),
        (
            "released",
            Action::Release { after: LONG },
            Some(State::Pending),
        ),
        ("dead", super::calls::dead(), Some(State::Dead)),
        ("disowned", Action::Disown, None),
        ("done", Action::Done, Some(State::Done)),
    ] {
        let record = event(key);
        probe.put_fresh(&record).await;
        let leased = probe.one(&events(), LONG).await;
        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        process
            .applied(&leased.lease, Action::Extend { ttl: LONG * 2 })
            .await;
        process.applied(&leased.lease, action.clone()).await;
        process.store().kill();
        let now = probe.state(&record).await;
        probe.same("the state of what it settled", now, state);
        probe.applied(&leased.lease, action).await;
    }

    // After a purge.
    let Some(process) = start(&probe, 0).await else {
        return Need::Processes.does_not_apply();
    };
    let nothing = Retention::default().with_keys(Duration::ZERO);
    process.purge(&nothing).await;
    process.store().kill();
    let state = probe.state(&event("done")).await;
    probe.same("what it purged", state, None);
    Outcome::Kept
}

/// A process that begins anew gives no token that one before it gave.
pub async fn tokens_never_recur_in_another_process<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    probe.put_fresh(&event("task")).await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        for _ in 0..3 {
            let leased = process.lease(&events(), 1, LONG).await;
            probe.same("records that are due", leased.len(), 1);
            let lease = &leased[0].lease;
            probe.seen(
                seen.insert(lease.token),
                || "a token of another process came again",
            );
            process.applied(lease, retry_in(Duration::ZERO)).await;
        }
        process.store().kill();
    }
    Outcome::Kept
}

/// Killed in the middle of a call: it was made or was not, and can be repeated.
pub async fn a_process_killed_in_a_call_made_it_or_did_not<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..6 {
        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        // It is there, and its connection too.
        process.find(&events(), b"nobody").await;
        let moment = Duration::from_micros(200 * round);
        let record = event(format!("inserted {round}"));
        let insert = process.store().insert(slice::from_ref(&record));
        kill_during(&process, moment, insert).await;
        probe.put_fresh(&record).await;
        let found = probe.known(&record).await;
        probe.same("what it inserted", found.id, record.id);

        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        let ttl = SHORT / 4;
        let queue = events();
        kill_during(&process, moment, process.store().lease(&queue, 1, ttl)).await;
        probe.pass(ttl).await;
        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, &record);
        probe.seen(leased.attempt == leased.expiries + 1, || {
            format!(
                "the lease that was cut off counts as {} attempts and {} expiries",
                leased.attempt - 1,
                leased.expiries
            )
        });

        let Some(process) = start(&probe, 0).await else {
            return Need::Processes.does_not_apply();
        };
        let done = [Settlement::new(leased.lease.clone(), Action::Done)];
        kill_during(&process, moment, process.store().settle(&done)).await;
        probe.applied(&leased.lease, Action::Done).await;
        let state = probe.state(&record).await;
        probe.same("what it settled", state, Some(State::Done));
    }
    probe.none_due(&events(), "when all is done").await;
    Outcome::Kept
}

async fn kill_during<T>(process: &Calls<Process>, moment: Duration, call: impl Future<Output = T>) {
    let kill = async {
        tokio::time::sleep(moment).await;
        process.store().kill();
    };
    // Whatever it was answered, if it was.
    process
        .within("a call that is cut off", async { tokio::join!(call, kill) })
        .await;
}

/// A process that thinks that it is yesterday or tomorrow sees and does what all others do.
pub async fn a_callers_wrong_clock_changes_nothing<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    for days_off in [-1, 1] {
        let Some(process) = start(&probe, days_off).await else {
            return Need::WrongClocks.does_not_apply();
        };
        let key = |key: &str| format!("{key} {days_off}");
        // Due at the same time for both.
        process
            .put_fresh(&event(key("its later")).with_due_in(LONG))
            .await;
        probe
            .put_fresh(&event(key("our later")).with_due_in(LONG))
            .await;
        for seen in [due(&probe).await, due(&process).await] {
            probe.same("what is due before its time", seen, 0);
        }
        let its = event(key("its"));
        process.put_fresh(&its).await;
        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, &its);
        probe.seen(leased.age < LONG, || {
            format!("the age of what was just inserted is {:?}", leased.age)
        });
        process
            .none_due(&events(), "while we have the only lease")
            .await;
        process
            .applied(&leased.lease, Action::Extend { ttl: LONG })
            .await;
        probe
            .none_due(&events(), "after it extended our lease")
            .await;
        process.applied(&leased.lease, retry_in(LONG)).await;
        probe.none_due(&events(), "before its retry").await;

        let ours = event(key("ours"));
        probe.put_fresh(&ours).await;
        let leased = process.lease(&events(), 1, LONG).await;
        probe.same("what it leased of ours", leased.len(), 1);
        probe.is_record(&leased[0], &ours);
        probe.seen(leased[0].age < LONG, || {
            format!("it was told the age {:?}", leased[0].age)
        });
        probe
            .none_due(&events(), "while it has the only lease")
            .await;
        process.applied(&leased[0].lease, Action::Done).await;
        let letter = event(key("letter"));
        probe.put_fresh(&letter).await;
        let leased = probe.one(&events(), LONG).await;
        probe.applied(&leased.lease, super::calls::dead()).await;

        // Nothing is as old as that.
        let retention = Retention::default()
            .with_bodies(LONG)
            .with_keys(LONG)
            .with_dead(LONG)
            .with_quarantine(LONG);
        let unread = NewRecord::new(
            crate::store::Queue::quarantine("conformance"),
            key("{"),
            "{",
        );
        process.put_fresh(&unread).await;
        process.purge(&retention).await;
        probe.purge(&retention).await;
        for (record, state) in [
            (&ours, State::Done),
            (&letter, State::Dead),
            (&unread, State::Pending),
        ] {
            let found = probe.known(record).await;
            probe.same(
                "what is an hour younger than its retention",
                found.state,
                state,
            );
            probe.seen(found.body.is_some(), || "its body is gone");
        }
        let expired = event(key("expired"));
        process.put_fresh(&expired).await;
        probe.one(&events(), SHORT).await;
        probe.pass(SHORT).await;
        let leased = process.lease(&events(), 1, LONG).await;
        probe.same("what it leased after an expiry", leased.len(), 1);
        probe.same("the expiries", leased[0].expiries, 1);
        process.applied(&leased[0].lease, Action::Done).await;
    }
    Outcome::Kept
}

async fn due<S: Store>(calls: &Calls<S>) -> usize {
    calls.lease(&events(), 10, LONG).await.len()
}
