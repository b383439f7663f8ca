//! How what waits gets to the store.

use std::time::Duration;

use tower_callback::{
    store::{Inbox, Inserted, Inspect, NewRecord, Queue, QueueKind, SqliteStore, State, Store},
    testing::Fault,
};

use crate::{
    engine::{Bears, LONG, Rig, event, events, quick, until},
    trials,
};

trials! {
    an_insert_whose_answer_was_lost_is_not_doubled,
    what_waits_survives_a_restart_and_keeps_its_order,
    the_end_of_the_forwarder_keeps_what_waits,
    every_kind_of_record_is_handed_on_as_it_was,
    what_the_store_rejects_stays_as_a_dead_letter_and_holds_up_nobody,
    a_dead_letter_that_is_made_pending_again_is_handed_on,
    a_record_that_the_store_cannot_bear_holds_up_nobody,
    what_the_store_has_no_room_for_stays_until_it_has,
    a_delay_counts_from_arrival,
    an_upgrade_that_comes_while_its_record_is_handed_on_is_handed_on_too,
    what_the_store_knows_already_leaves_the_spool,
    a_store_that_comes_and_goes_loses_nothing,
}

async fn an_insert_whose_answer_was_lost_is_not_doubled() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail_next(1, Fault::LostAnswer);
    let record = event("a");
    assert_eq!(rig.put(&record).await, Inserted::Fresh);
    assert_eq!(rig.waiting().await, 1);
    let _forwarding = rig.forward();
    rig.drained().await;
    let leased = rig.engine.store.lease(&events(), 10, LONG).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].lease.id, record.id);
}

async fn what_waits_survives_a_restart_and_keeps_its_order() {
    let rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let keys: Vec<_> = (0..1200).map(|n| format!("task {n:04}")).collect();
    for batch in keys.chunks(100) {
        let batch: Vec<_> = batch.iter().cloned().map(event).collect();
        rig.store.insert(&batch).await.unwrap();
    }
    let mut rig = rig.restarted().await;
    assert_eq!(rig.waiting().await, 1200);
    let repeat = rig.put(&event("task 0700")).await;
    assert!(matches!(repeat, Inserted::Duplicate { .. }), "{repeat:?}");
    let _forwarding = rig.forward();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), keys);
}

async fn the_end_of_the_forwarder_keeps_what_waits() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    rig.put(&event("a")).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let forwarder = rig.take_forwarder();
    let forwarding = tokio::spawn(forwarder.run_until(async {
        let _ = stopped.await;
    }));
    stop.send(()).unwrap();
    forwarding.await.unwrap();
    assert_eq!(rig.waiting().await, 1);
    let mut rig = rig.restarted().await;
    let _forwarding = rig.forward();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["a"]);
}

async fn every_kind_of_record_is_handed_on_as_it_was() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let kinds = [QueueKind::Events, QueueKind::Tracked, QueueKind::Quarantine];
    let records: Vec<_> = ["a", "a:b"]
        .into_iter()
        .flat_map(|endpoint| kinds.map(|kind| Queue::new(endpoint, kind)))
        .enumerate()
        .map(|(n, queue)| {
            NewRecord::new(queue, vec![0, 0xff, b'\''], vec![n as u8; n * 10_000])
                .with_rank(n as u16)
                .with_meta(vec![n as u8; 16 * 1024])
        })
        .collect();
    let answers = rig.store.insert(&records).await.unwrap();
    assert_eq!(answers, [Inserted::Fresh; 6]);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    for (taken, record) in rig.engine.store.recorded().iter().zip(&records) {
        assert_eq!((taken.id, taken.rank), (record.id, record.rank));
        assert_eq!((&taken.queue, &taken.key), (&record.queue, &record.key));
        assert!(taken.body == record.body && taken.meta == record.meta);
    }
    assert_eq!(rig.engine.store.recorded().len(), 6);
}

async fn what_the_store_rejects_stays_as_a_dead_letter_and_holds_up_nobody() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let mut batch: Vec<_> = (0..40).map(|n| event(format!("good {n:02}"))).collect();
    batch.insert(17, event("bad"));
    rig.store.insert(&batch).await.unwrap();
    rig.engine.bears("bad", Bears::Never);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    let keys: Vec<_> = (0..40).map(|n| format!("good {n:02}")).collect();
    assert_eq!(rig.engine.taken(), keys);
    assert_eq!(rig.store.backlog().await.unwrap().dead, 1);
    let file = SqliteStore::open(rig.file()).await.unwrap();
    let found = file.find(&events(), b"bad").await.unwrap().unwrap();
    assert_eq!(found.state, State::Dead);
    assert!(found.error.unwrap().contains("cannot bear this"));
    assert_eq!(found.body.unwrap(), "bad");
}

async fn a_dead_letter_that_is_made_pending_again_is_handed_on() {
    let mut rig = Rig::new().await;
    rig.engine.bears("bad", Bears::Never);
    rig.engine.store.fail(Fault::Unavailable);
    // Not the engine's own rejection, which the caller would be told.
    rig.engine.bears_all();
    let record = event("bad");
    rig.put(&record).await;
    rig.engine.bears("bad", Bears::Never);
    rig.engine.store.heal();
    let forwarding = rig.forward();
    rig.drained().await;
    forwarding.abort();
    let file = SqliteStore::open(rig.file()).await.unwrap();
    file.requeue(&events(), &[record.id]).await.unwrap();
    drop(file);
    let mut rig = rig.restarted().await;
    let _forwarding = rig.forward();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["bad"]);
    assert_eq!(rig.store.backlog().await.unwrap().dead, 0);
}

async fn a_record_that_the_store_cannot_bear_holds_up_nobody() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let mut batch = vec![event("heavy")];
    batch.extend((0..40).map(|n| event(format!("light {n:02}"))));
    rig.store.insert(&batch).await.unwrap();
    rig.engine.bears("heavy", Bears::NotNow);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    until(async || rig.waiting().await == 1).await;
    assert_eq!(rig.engine.taken().len(), 40);
    rig.engine.bears_all();
    rig.drained().await;
    assert_eq!(rig.engine.taken().last().unwrap(), "heavy");
}

async fn what_the_store_has_no_room_for_stays_until_it_has() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let batch = [event("a"), event("b"), event("c")];
    rig.store.insert(&batch).await.unwrap();
    rig.engine.bears("b", Bears::NoRoom);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    until(async || rig.waiting().await == 1).await;
    assert_eq!(rig.engine.taken(), ["a", "c"]);
    rig.engine.bears_all();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["a", "c", "b"]);
}

async fn a_delay_counts_from_arrival() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail(Fault::Unavailable);
    let waited = Duration::from_millis(30);
    let batch = [
        event("later").with_due_in(LONG),
        event("soon").with_due_in(waited / 3),
        event("never").with_due_in(Duration::MAX),
    ];
    rig.store.insert(&batch).await.unwrap();
    tokio::time::sleep(waited).await;
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    let left: Vec<_> = rig.engine.store.recorded();
    assert!(left[0].due_in <= LONG - waited && left[0].due_in > LONG / 2);
    assert_eq!(left[1].due_in, Duration::ZERO);
    assert!(left[2].due_in > LONG * 24 * 365 * 1000);
}

async fn an_upgrade_that_comes_while_its_record_is_handed_on_is_handed_on_too() {
    let mut rig = Rig::new().await;
    rig.engine.store.fail_next(1, Fault::Unavailable);
    let (failure, success) = (event("task"), event("task").with_rank(1));
    rig.put(&failure).await;
    rig.engine.store.fail(Fault::Hang);
    let before = rig.engine.store.recorded().len();
    let _forwarding = rig.forward();
    until(async || rig.engine.times_offered(&failure) == 2).await;
    assert_eq!(rig.put(&success).await, Inserted::Upgraded);
    assert_eq!(rig.engine.store.recorded().len(), before);
    rig.engine.store.heal();
    rig.drained().await;
    let taken: Vec<_> = rig.engine.store.recorded().iter().map(|r| r.id).collect();
    assert_eq!(taken, [failure.id, success.id]);
    let found = rig.engine.store.find(&events(), b"task").await.unwrap();
    assert_eq!(found.unwrap().id, success.id);
}

async fn what_the_store_knows_already_leaves_the_spool() {
    let mut rig = Rig::new().await;
    let first = event("a");
    rig.put(&first).await;
    rig.engine.store.fail_next(1, Fault::Unavailable);
    assert_eq!(
        rig.put(&event("a")).await,
        Inserted::Fresh,
        "nobody can tell"
    );
    let _forwarding = rig.forward();
    rig.drained().await;
    let leased = rig.engine.store.lease(&events(), 10, LONG).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].lease.id, first.id);
}

async fn a_store_that_comes_and_goes_loses_nothing() {
    let mut rig = Rig::with(quick().with_patience(Duration::from_millis(100))).await;
    let _forwarding = rig.forward();
    let faults = [
        Fault::Unavailable,
        Fault::LostAnswer,
        Fault::Full,
        Fault::Hang,
    ];
    let mut keys = Vec::new();
    for n in 0..200 {
        match n % 10 {
            3 => rig.engine.store.fail(faults[n / 10 % 4]),
            7 => rig.engine.store.heal(),
            _ => {}
        }
        let key = format!("task {n:03}");
        // Full is an answer, and then the provider's retry brings it.
        while rig.put(&event(key.clone())).await == Inserted::Full {
            rig.engine.store.heal();
        }
        keys.push(key);
    }
    rig.engine.store.heal();
    rig.drained().await;
    let mut leased = rig.leased().await;
    leased.sort();
    assert_eq!(leased, keys);
}
