//! Connections that are lost in the middle of a call.

use std::{error::Error as _, slice, time::Duration};

use super::{
    Cut, Fixture, Need, Outcome,
    calls::{LONG, Probe, SHORT, clause, dead, event, events, retry_in},
};
use crate::store::{
    Action, Inbox, Inserted, Leased, NewRecord, Queue, Retention, Settled, Settlement, State,
    Store, StoreError, StoreErrorKind,
};

/// From nothing to more than any call of these is long.
const CUTS: [Cut; 10] = [
    Cut::Answer(0),
    Cut::Request(0),
    Cut::Answer(1),
    Cut::Request(1),
    Cut::Request(40),
    Cut::Answer(40),
    Cut::Request(150),
    Cut::Answer(150),
    Cut::Request(600),
    Cut::Answer(600),
];

/// A call, with its answer if it was answered in spite of the cut.
async fn cut_off<F: Fixture, T>(
    probe: &Probe<'_, F>,
    what: &str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Option<T> {
    match probe.within(what, call).await {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == StoreErrorKind::Unavailable => None,
        Err(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            probe.broken(format_args!(
                "{what} over a connection that was lost: promised unavailable, seen {error}: {source}"
            ))
        }
    }
}

impl<F: Fixture> Probe<'_, F> {
    /// Whether connections can be cut at all.
    async fn cut(&self, when: Cut) -> bool {
        self.fixture().cut(self.store(), Some(when)).await
    }

    /// Lets everything through, and waits until the store has connections again: some that are open
    /// may be dead, and who finds one is told that the store is unavailable.
    async fn healed(&self) {
        self.fixture().cut(self.store(), None).await;
        let queue = events();
        let mut last = String::new();
        let mut in_a_row = 0;
        for _ in 0..300 {
            match self
                .within("find", self.store().find(&queue, b"nobody"))
                .await
            {
                Ok(_) => in_a_row += 1,
                Err(error) => {
                    in_a_row = 0;
                    last = error.source().map(ToString::to_string).unwrap_or_default();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            if in_a_row == 20 {
                return;
            }
        }
        self.broken(format_args!("the store does not connect again: {last}"));
    }
}

/// Cuts inserts off after more and more of their answer, until one was committed of which nobody learned.
/// Without that nothing is tried that matters.
async fn lose_an_answer<F: Fixture>(probe: &Probe<'_, F>) {
    let queue = Queue::events("answers");
    let record = |key: String| NewRecord::new(queue.clone(), key, "{}");
    for bytes in (0..2000).step_by(8) {
        // Whatever a connection begins with, it has behind it.
        probe.put_fresh(&record(format!("warm {bytes}"))).await;
        let record = record(format!("lost {bytes}"));
        probe.cut(Cut::Answer(bytes)).await;
        let insert = probe.store().insert(slice::from_ref(&record));
        let answered = cut_off(probe, "insert", insert).await;
        probe.healed().await;
        if answered.is_some() {
            continue;
        }
        // The server may still be at it.
        for _ in 0..10 {
            if probe.find(&queue, &record.key).await.is_some() {
                return probe.put_fresh(&record).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        probe.put_fresh(&record).await;
    }
    probe.broken("no cut lost the answer of an insert that was committed")
}

/// Each call that is cut off, at any place, fails as unavailable or was answered; repeated over the
/// next connection, it comes to what it would have come to.
pub async fn a_call_that_lost_its_connection_is_repeated<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    if !probe.cut(Cut::Answer(0)).await {
        return Need::Connection.does_not_apply();
    }
    probe.healed().await;
    lose_an_answer(&probe).await;
    for (n, cut) in CUTS.into_iter().enumerate() {
        let record = event(format!("task {n}"));
        probe.cut(cut).await;
        let insert = probe.store().insert(slice::from_ref(&record));
        if let Some(answers) = cut_off(&probe, "insert", insert).await {
            probe.same(
                "an insert that was answered",
                answers,
                vec![Inserted::Fresh],
            );
        }
        probe.healed().await;
        probe.put_fresh(&record).await;
        let found = probe.known(&record).await;
        probe.same("the record of a repeated insert", found.id, record.id);

        let leased = lease_again(&probe, cut).await;
        probe.is_record(&leased, &record);
        let extend = Action::Extend { ttl: LONG };
        for action in [extend, retry_in(Duration::ZERO)] {
            settle_again(&probe, cut, &leased, action).await;
        }
        for action in [
            Action::Release {
                after: Duration::ZERO,
            },
            dead(),
        ] {
            let leased = probe.one(&events(), LONG).await;
            settle_again(&probe, cut, &leased, action).await;
        }
        let state = probe.state(&record).await;
        probe.same("the state after all that", state, Some(State::Dead));
        let disowned = event(format!("disowned {n}"));
        probe.put_fresh(&disowned).await;
        let leased = probe.one(&events(), LONG).await;
        settle_again(&probe, cut, &leased, Action::Disown).await;
        let done = event(format!("done {n}"));
        probe.put_fresh(&done).await;
        let leased = probe.one(&events(), LONG).await;
        settle_again(&probe, cut, &leased, Action::Done).await;

        probe.cut(cut).await;
        let queue = events();
        let find = probe.store().find(&queue, &done.key);
        if let Some(found) = cut_off(&probe, "find", find).await {
            let state = found.map(|found| found.state);
            probe.same("a find that was answered", state, Some(State::Done));
        }
        probe.healed().await;
        let nothing = Retention::default().with_keys(Duration::ZERO);
        probe.cut(cut).await;
        cut_off(&probe, "purge", probe.store().purge(&nothing)).await;
        probe.healed().await;
        probe.purge(&nothing).await;
        let state = probe.state(&done).await;
        probe.same("the state after a repeated purge", state, None);
        probe.none_due(&events(), "when all is settled").await;
    }
    Outcome::Kept
}

/// A lease whose answer was lost runs out, and counts.
async fn lease_again<F: Fixture>(probe: &Probe<'_, F>, cut: Cut) -> Leased {
    probe.cut(cut).await;
    let queue = events();
    let lease = probe.store().lease(&queue, 1, SHORT);
    let answered = cut_off(probe, "lease", lease).await;
    probe.healed().await;
    probe.pass(SHORT).await;
    let leased = probe.one(&events(), LONG).await;
    probe.same(
        "the attempts of which nobody learned",
        leased.attempt,
        leased.expiries + 1,
    );
    if let Some(lost) = answered.and_then(|mut leased| leased.pop()) {
        let settled = probe.end(&lost.lease, Action::Done).await;
        probe.same("the lease that ran out", settled, Settled::Stale);
    }
    leased
}

async fn settle_again<F: Fixture>(probe: &Probe<'_, F>, cut: Cut, leased: &Leased, action: Action) {
    probe.cut(cut).await;
    let settlement = [Settlement::new(leased.lease.clone(), action.clone())];
    let what = format!("settling with {action:?}");
    let settle = probe.store().settle(&settlement);
    let extends = matches!(action, Action::Extend { .. });
    if let Some(answers) = cut_off(probe, &what, settle).await
        && !(extends && answers == [Settled::Busy])
    {
        probe.same(&what, answers, vec![Settled::Applied]);
    }
    probe.healed().await;
    // The call that was cut may hold the record for another moment, for which an extension does not
    // wait.
    for _ in 0..300 {
        let settled = probe.end(&leased.lease, action.clone()).await;
        if !extends || settled != Settled::Busy {
            return probe.same(&what, settled, Settled::Applied);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    probe.broken(format_args!("{what}: it is busy for ever"))
}
