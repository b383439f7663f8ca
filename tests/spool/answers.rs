//! What callers are told while the store is away, and after.

use std::time::Duration;

use tower_callback::{
    store::{Inbox, Inserted, State, StoreErrorKind},
    testing::Fault,
};

use crate::{
    engine::{Bears, Rig, event, quick},
    trials,
};

trials! {
    a_store_that_answers_is_all_that_is_used,
    a_store_that_fails_costs_no_answer,
    a_store_that_panics_costs_no_answer,
    a_store_that_hangs_is_waited_for_once,
    repeats_of_what_waits_are_duplicates_and_a_higher_rank_replaces_it,
    a_key_that_waits_goes_through_the_spool_and_others_do_not,
    what_the_store_answers_itself_is_handed_on,
    a_lone_record_that_fails_finds_the_store_well_again_without_a_forwarder,
}

async fn a_store_that_answers_is_all_that_is_used() {
    let rig = Rig::new().await;
    let first = event("a");
    assert_eq!(rig.put(&first).await, Inserted::Fresh);
    let Inserted::Duplicate { id, .. } = rig.put(&event("a")).await else {
        panic!("a repeat is a duplicate");
    };
    assert_eq!(id, first.id);
    assert_eq!(rig.put(&event("a").with_rank(1)).await, Inserted::Upgraded);
    assert_eq!(rig.waiting().await, 0);
    assert_eq!(rig.engine.taken(), ["a", "a"]);
}

async fn a_store_that_fails_costs_no_answer() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let records: Vec<_> = (0..50).map(|n| event(format!("task {n:02}"))).collect();
    let answers = rig.store.insert(&records[..25]).await.unwrap();
    assert_eq!(answers, [Inserted::Fresh; 25]);
    let _forwarding = rig.forward();
    let answers = rig.store.insert(&records[25..]).await.unwrap();
    assert_eq!(answers, [Inserted::Fresh; 25]);
    assert_eq!(rig.waiting().await, 50);
    assert!(rig.engine.taken().is_empty());

    rig.engine.store.heal();
    rig.drained().await;
    let keys: Vec<_> = (0..50).map(|n| format!("task {n:02}")).collect();
    let mut leased = rig.leased().await;
    leased.sort();
    assert_eq!(leased, keys);
}

async fn a_store_that_panics_costs_no_answer() {
    let mut rig = Rig::new().await;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    rig.engine.store.fail_next(3, Fault::Panic);
    assert_eq!(rig.put(&event("a")).await, Inserted::Fresh);
    let _forwarding = rig.forward();
    rig.drained().await;
    std::panic::set_hook(hook);
    assert_eq!(rig.engine.taken(), ["a"]);
}

async fn a_store_that_hangs_is_waited_for_once() {
    let options = quick().with_patience(Duration::from_millis(50));
    let mut rig = Rig::with(options).await;
    let _forwarding = rig.forward();
    rig.engine.store.fail(Fault::Hang);
    let first = event("first");
    assert_eq!(rig.put(&first).await, Inserted::Fresh);
    assert!(rig.engine.was_waited_for(&first));
    for n in 0..20 {
        let later = event(format!("later {n}"));
        assert_eq!(rig.put(&later).await, Inserted::Fresh);
        assert!(
            !rig.engine.was_waited_for(&later),
            "{n} waited for the store"
        );
    }
    rig.engine.store.heal();
    rig.drained().await;
    // On a slow disk some of them were taken more than once, each as the same insert.
    assert_eq!(rig.leased().await.len(), 21);
}

async fn repeats_of_what_waits_are_duplicates_and_a_higher_rank_replaces_it() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let failure = event("task");
    assert_eq!(rig.put(&failure).await, Inserted::Fresh);
    assert_eq!(rig.put(&failure).await, Inserted::Fresh, "the same insert");
    let promised = Inserted::Duplicate {
        id: failure.id,
        rank: 0,
        state: State::Pending,
        differs: false,
    };
    assert_eq!(rig.put(&event("task")).await, promised);
    let success = event("task").with_rank(1);
    assert_eq!(rig.put(&success).await, Inserted::Upgraded);
    let late = rig.put(&event("task")).await;
    assert!(
        matches!(late, Inserted::Duplicate { rank: 1, .. }),
        "{late:?}"
    );
    assert_eq!(rig.waiting().await, 1);

    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    let taken = rig.engine.store.recorded();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].id, taken[0].rank), (success.id, 1));
}

async fn a_key_that_waits_goes_through_the_spool_and_others_do_not() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let first = event("waits");
    rig.put(&first).await;
    rig.engine.store.heal();
    let batch = [event("new"), event("waits"), event("newer")];
    let answers = rig.store.insert(&batch).await.unwrap();
    let duplicate = Inserted::Duplicate {
        id: first.id,
        rank: 0,
        state: State::Pending,
        differs: false,
    };
    assert_eq!(answers, [Inserted::Fresh, duplicate, Inserted::Fresh]);
    assert_eq!(rig.engine.taken(), ["new", "newer"]);
    let _forwarding = rig.forward();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["new", "newer", "waits"]);
    let after = rig.put(&event("waits")).await;
    assert!(matches!(after, Inserted::Duplicate { id, .. } if id == first.id));
}

async fn what_the_store_answers_itself_is_handed_on() {
    let rig = Rig::new().await;
    for (fault, answer) in [(Fault::Full, Inserted::Full), (Fault::Busy, Inserted::Busy)] {
        rig.engine.store.fail_next(1, fault);
        assert_eq!(rig.put(&event("a")).await, answer);
    }
    rig.engine.bears("bad", Bears::Never);
    let error = rig.store.insert(&[event("bad")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert_eq!(rig.waiting().await, 0);
    assert_eq!(rig.store.insert(&[]).await.unwrap(), []);
}

/// Somebody has to find out that the store is back.
async fn a_lone_record_that_fails_finds_the_store_well_again_without_a_forwarder() {
    let rig = Rig::new().await;
    rig.engine.store.fail_next(1, Fault::Unavailable);
    rig.put(&event("a")).await;
    let direct = event("b");
    rig.put(&direct).await;
    assert_eq!(rig.engine.taken(), ["b"]);
    assert_eq!(rig.waiting().await, 1);
}
