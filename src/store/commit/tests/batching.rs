//! Who is written together, and when.

use super::*;
use crate::store::Inbox;

#[tokio::test]
async fn whoever_comes_while_a_batch_is_written_becomes_the_next_batch_in_order() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let records: Vec<_> = (0..9).map(|n| record(n, 10)).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let rest = bench.spawn_waiting(records.into_iter()).await;
    assert_eq!(bench.store.sizes(), [1], "one batch at a time");
    bench.store.let_through(1);
    assert_eq!(joined(first).await.unwrap(), Inserted::Fresh);
    // The clock stands still all the while: it is the end of the first batch that begins the next.
    until(|| bench.store.begun() == 2).await;
    assert_eq!(bench.store.calls()[1], ids);
    bench.store.let_through(1);
    for task in rest {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    bench.store.open();
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_lone_insert_is_written_at_once_and_leaves_no_task_behind() {
    let bench = Bench::new(Script::new());
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for number in 0..3 {
        let insert = bench.committer.insert(record(number, 10), || PATIENCE);
        assert_eq!(soon(insert).await.unwrap(), Inserted::Fresh);
        until(|| tasks() == before).await;
    }
    assert_eq!(bench.store.sizes(), [1, 1, 1]);
}

#[tokio::test]
async fn repeats_are_told_who_has_the_key_within_a_batch_too() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let [one, two] = [record(7, 10), record(7, 10)];
    let id = one.id;
    let twins = bench.spawn_waiting([one, two].into_iter()).await;
    bench.store.open();
    joined(first).await.unwrap();
    let mut answers = Vec::new();
    for twin in twins {
        answers.push(joined(twin).await.unwrap());
    }
    assert_eq!(answers[0], Inserted::Fresh);
    assert!(
        matches!(answers[1], Inserted::Duplicate { id: known, .. } if known == id),
        "each caller gets the answer to its own record: {answers:?}"
    );
}

#[tokio::test]
async fn a_batch_has_no_more_records_than_its_limit() {
    let limits = Limits {
        batch_records: 4,
        ..Limits::default()
    };
    let bench = Bench::with_limits(Script::new().gated(), limits);
    let first = bench.occupy().await;
    let rest = bench.spawn_waiting((0..10).map(|n| record(n, 10))).await;
    bench.store.open();
    for task in rest.into_iter().chain([first]) {
        joined(task).await.unwrap();
    }
    assert_eq!(bench.store.sizes(), [1, 4, 4, 2]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_batch_has_no_more_bytes_of_key_body_and_meta_than_its_limit_unless_one_record_has() {
    let limits = Limits {
        batch_bytes: 100,
        ..Limits::default()
    };
    let bench = Bench::with_limits(Script::new().gated(), limits);
    let first = bench.occupy().await;
    // 50 bytes, 50 bytes, 30 bytes, more than a batch, 8 bytes.
    let records = [
        record(1, 42),
        record(2, 0).with_meta(vec![b'm'; 42]),
        record(3, 22),
        record(4, 1000),
        record(5, 0),
    ];
    let rest = bench.spawn_waiting(records.into_iter()).await;
    bench.store.open();
    for task in rest.into_iter().chain([first]) {
        joined(task).await.unwrap();
    }
    assert_eq!(bench.store.sizes(), [1, 2, 1, 1, 1]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_by_count_and_by_bytes_until_somebody_leaves() {
    let by_count = Limits {
        queue_records: 2,
        ..Limits::default()
    };
    let by_bytes = Limits {
        queue_bytes: 2 * 58,
        ..Limits::default()
    };
    for limits in [by_count, by_bytes] {
        let bench = Bench::with_limits(Script::new().gated(), limits);
        let first = bench.occupy().await;
        let waiting = bench.spawn_waiting((0..2).map(|n| record(n, 50))).await;
        let refused = bench.committer.insert(record(3, 50), || PATIENCE);
        // The store is stuck: whatever is answered is answered by the queue.
        assert_eq!(
            told(soon(refused).await),
            "the store is unavailable: the commit queue is full"
        );
        waiting[0].abort();
        until(|| bench.waiting() == 1).await;
        let next = bench.spawn_waiting([record(4, 50)].into_iter()).await;
        bench.store.open();
        for task in waiting.into_iter().skip(1).chain(next).chain([first]) {
            assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
        }
        bench.is_at_rest().await;
    }
}

#[tokio::test]
async fn a_record_larger_than_the_whole_queue_is_still_written() {
    let limits = Limits {
        queue_bytes: 10,
        batch_bytes: 10,
        ..Limits::default()
    };
    let bench = Bench::with_limits(Script::new(), limits);
    let insert = bench.committer.insert(record(1, 1000), || PATIENCE);
    assert_eq!(soon(insert).await.unwrap(), Inserted::Fresh);
}

#[tokio::test]
async fn as_many_batches_are_under_way_as_the_store_allows_and_no_more() {
    let limits = Limits {
        batch_records: 1,
        ..Limits::default()
    };
    let bench = Bench::with_limits(Script::new().gated().commits_at_once(3), limits);
    let tasks: Vec<_> = (0..10).map(|n| bench.spawn(record(n, 10))).collect();
    until(|| bench.store.under_way() == 3 && bench.waiting() == 7).await;
    bench.store.open();
    for task in tasks {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.most_under_way(), 3);
    bench.is_at_rest().await;
}

#[test]
fn every_wrapper_forwards_how_many_commits_are_under_way_at_once() {
    let store = Box::new(Arc::new(Script::new().commits_at_once(3)));
    let inbox = AnyInbox::new(AnyInbox::new(store));
    assert_eq!(inbox.commits_at_once(), 3);
}

#[tokio::test]
async fn a_store_that_says_no_batch_may_be_under_way_gets_one_all_the_same() {
    let bench = Bench::new(Script::new().commits_at_once(0));
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_volatile_store_is_called_directly() {
    let bench = Bench::new(Script::new().volatile().gated());
    let tasks: Vec<_> = (0..3).map(|n| bench.spawn(record(n, 10))).collect();
    until(|| bench.store.begun() == 3).await;
    let alive = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(alive, 3, "no task but the callers'");
    bench.store.open();
    for task in tasks {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.sizes(), [1, 1, 1]);
}
