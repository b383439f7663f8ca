//! Where the spool ends.

use tower_callback::{
    MemoryStore,
    store::{
        Inbox, Inserted, NewRecord, OpenErrorKind, Queue, Spooled, SqliteStore, Store,
        StoreErrorKind,
    },
    testing::Fault,
};

use crate::{
    engine::{Rig, event, quick},
    trials,
};

trials! {
    a_full_spool_refuses_what_is_new_and_nothing_else,
    quarantine_drops_nothing_and_takes_from_the_room,
    a_spool_that_holds_enough_bytes_refuses_what_is_new,
    below_the_reserve_neither_takes_it_and_both_reasons_are_told,
    a_volatile_store_gets_no_spool,
    a_spool_is_nothing_that_a_worker_or_a_submitter_can_be_given,
    a_place_that_is_no_file_is_an_error_that_names_it,
}

async fn a_full_spool_refuses_what_is_new_and_nothing_else() {
    let mut rig = Rig::with(quick().with_capacity(2)).await;
    rig.engine.store.fail(Fault::Unavailable);
    let batch = [event("a"), event("b"), event("c"), event("a")];
    let answers = rig.store.insert(&batch).await.unwrap();
    assert_eq!(
        answers[..3],
        [Inserted::Fresh, Inserted::Fresh, Inserted::Full]
    );
    assert!(matches!(answers[3], Inserted::Duplicate { .. }));
    assert_eq!(rig.put(&event("b").with_rank(1)).await, Inserted::Upgraded);
    rig.engine.store.heal();
    let _forwarding = rig.forward();
    rig.drained().await;
    assert_eq!(rig.engine.taken(), ["a", "b"]);
}

async fn quarantine_drops_nothing_and_takes_from_the_room() {
    let rig = Rig::with(quick().with_capacity(2)).await;
    rig.engine.store.fail(Fault::Unavailable);
    let unreadable = |key: &'static str| NewRecord::new(Queue::quarantine("a"), key, "{");
    assert_eq!(rig.put(&unreadable("1")).await, Inserted::Fresh);
    assert_eq!(rig.put(&event("2")).await, Inserted::Fresh);
    assert_eq!(rig.put(&unreadable("3")).await, Inserted::Full);
    assert_eq!(rig.waiting().await, 2);
}

async fn a_spool_that_holds_enough_bytes_refuses_what_is_new() {
    let rig = Rig::with(quick().with_capacity_bytes(1024 * 1024)).await;
    rig.engine.store.fail(Fault::Unavailable);
    let mut taken = 0;
    loop {
        let mut record = event(format!("task {taken}"));
        record.body = vec![0; 100_000].into();
        match rig.put(&record).await {
            Inserted::Fresh => taken += 1,
            Inserted::Full => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        (8..=11).contains(&taken),
        "{taken} of 100 kB fit into 1 MiB"
    );
    let repeat = rig.put(&event("task 0")).await;
    assert!(matches!(repeat, Inserted::Duplicate { .. }), "{repeat:?}");
}

async fn below_the_reserve_neither_takes_it_and_both_reasons_are_told() {
    let rig = Rig::with(quick().with_reserve(u64::MAX)).await;
    rig.engine.store.fail(Fault::Unavailable);
    let error = rig.store.insert(&[event("a")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("told to fail"), "{source}");
    assert!(source.contains("reserve"), "{source}");
    rig.engine.store.heal();
    assert_eq!(rig.put(&event("a")).await, Inserted::Fresh);
    assert_eq!(rig.engine.taken(), ["a"]);
}

async fn a_volatile_store_gets_no_spool() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let error = Spooled::new(MemoryStore::new(), &path).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::NotDurable);
    assert!(!path.exists());
}

/// Whoever acts on `Fresh` may not get it from here: a submitter would pay twice. It is for the compiler
/// to say; with a second trait that fits, it could not tell which is meant.
async fn a_spool_is_nothing_that_a_worker_or_a_submitter_can_be_given() {
    trait IsNoStore<Reason> {
        const SO: bool = true;
    }
    struct BecauseItIs;
    impl<T> IsNoStore<()> for T {}
    impl<T: Store> IsNoStore<BecauseItIs> for T {}
    const { assert!(<Spooled<SqliteStore> as IsNoStore<_>>::SO) };
}

async fn a_place_that_is_no_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = crate::engine::Engine::open(directory.path()).await;
    let error = Spooled::new(engine, directory.path()).await.unwrap_err();
    let path = directory.path().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
}
