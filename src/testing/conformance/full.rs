//! A store that has no room for more.

use super::{
    Fixture, Need, Outcome,
    calls::{LONG, Probe, clause, event, events},
};
use crate::store::{Action, Inserted, NewRecord, Queue, Retention, State};

/// Only new records are refused; what the store holds goes on, and makes room.
pub async fn a_full_store_refuses_only_new_records<F: Fixture>(fixture: &F) -> Outcome {
    let clause = clause!();
    let Some(store) = fixture.open_bounded(3).await else {
        return Need::Limit.does_not_apply();
    };
    let probe = Probe::on(clause, fixture, store);
    let held = [event("a"), event("b"), event("c")];
    for record in &held {
        probe.put_fresh(record).await;
    }
    let refused = event("d");
    let answers = probe
        .insert(&[refused.clone(), event("a"), held[1].clone()])
        .await;
    let promised = vec![
        Inserted::Full,
        Inserted::Duplicate {
            id: held[0].id,
            rank: 0,
            state: State::Pending,
            differs: false,
        },
        Inserted::Fresh,
    ];
    probe.same("inserts into a full store", answers, promised);
    let state = probe.state(&refused).await;
    probe.same("what was refused", state, None);
    let unreadable = NewRecord::new(Queue::quarantine("conformance"), "digest", "{");
    let answer = probe.put(&unreadable).await;
    probe.same("quarantine beside full events", answer, Inserted::Fresh);

    let leased = probe.lease(&events(), 3, LONG).await;
    probe.same("leases from a full store", leased.len(), 3);
    probe
        .applied(&leased[0].lease, Action::Extend { ttl: LONG })
        .await;
    let answer = probe.put(&refused).await;
    probe.same("a new record while all are leased", answer, Inserted::Full);
    probe.applied(&leased[0].lease, Action::Done).await;
    probe.purge(&Retention::default()).await;
    probe.put_fresh(&refused).await;
    for record in &held[1..] {
        let state = probe.state(record).await;
        probe.same("what is leased in a full store", state, Some(State::Leased));
    }

    probe.applied(&leased[1].lease, Action::Done).await;
    let upgrade = NewRecord::new(events(), "a", "better").with_rank(1);
    let answers = probe.insert(&[upgrade, event("e")]).await;
    let promised = vec![Inserted::Upgraded, Inserted::Full];
    probe.same("what takes the last place again", answers, promised);
    Outcome::Kept
}
