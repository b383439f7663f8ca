//! Callers, and whole runtimes, that go away.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::{runtime, task::yield_now};

use super::*;
use crate::{
    store::{
        RecordId,
        commit::{Reply, Seat, Waiting},
    },
    testing::dropped::at_every_poll,
};

#[tokio::test]
async fn a_batch_that_has_begun_finishes_though_half_of_its_callers_left_and_the_first_too() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let records: Vec<_> = (0..100).map(|n| record(n, 10)).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let mut tasks = bench.spawn_waiting(records.into_iter()).await;
    bench.store.let_through(1);
    joined(first).await.unwrap();
    until(|| bench.store.begun() == 2).await;
    let staying = tasks.split_off(50);
    for task in tasks {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    bench.store.open();
    for task in staying {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert!(ids.iter().all(|id| bench.store.has(*id)), "all 100 are in");
    bench.is_at_rest().await;
}

#[tokio::test]
async fn whoever_leaves_before_its_batch_began_is_taken_out_and_everybody_else_is_answered() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let records: Vec<_> = (0..99).map(|n| record(n, 10)).collect();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let tasks = bench.spawn_waiting(records.into_iter()).await;
    // The caller whose insert started the writing task leaves as well.
    first.abort();
    let (mut left, mut stayed) = (vec![], vec![]);
    for (task, id) in tasks.into_iter().zip(ids) {
        if left.len() <= stayed.len() {
            task.abort();
            left.push(id);
        } else {
            stayed.push((task, id));
        }
    }
    until(|| bench.waiting() == stayed.len()).await;
    bench.store.open();
    let mut second = Vec::<RecordId>::new();
    for (task, id) in stayed {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
        second.push(id);
    }
    assert_eq!(bench.store.calls()[1..], [second]);
    assert_eq!(bench.store.stored(), 1 + 49, "the first one's record too");
    bench.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_crowd_that_comes_and_goes_everybody_is_answered_and_every_answer_is_true() {
    let bench =
        Bench::new(Script::planned(|number, _| Do::AnswerAfter(number % 3)).commits_at_once(2));
    let (mut staying, mut leaving) = (Vec::new(), Vec::new());
    for number in 0..4000_u64 {
        let record = record(number, 10);
        let id = record.id;
        let task = bench.spawn(record);
        if number % 4 > 1 {
            staying.push((task, id));
            continue;
        }
        if number % 4 == 1 {
            yield_now().await;
        }
        task.abort();
        leaving.push(task);
    }
    for (task, id) in staying {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
        assert!(bench.store.has(id));
    }
    for task in leaving {
        // Cancelled, or answered before it could be.
        let _ = soon(task).await;
    }
    assert!(bench.store.most_under_way() <= 2);
    bench.is_at_rest().await;
}

/// A runtime with a thread of its own, to be shut down.
fn elsewhere() -> runtime::Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test]
async fn when_the_runtime_of_the_writing_task_shuts_down_callers_on_another_take_over() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            0 => Do::Hang,
            _ => Do::Answer,
        })
        .gated(),
    );
    let other = elsewhere();
    let insert_elsewhere = |number| {
        let committer = bench.committer.clone();
        other.spawn(async move { committer.insert(record(number, 10), || PATIENCE).await })
    };
    let first = insert_elsewhere(100);
    until(|| bench.store.begun() == 1).await;
    // Some of those who wait go down with it, and are the first in the queue.
    let doomed: Vec<_> = (101..105).map(insert_elsewhere).collect();
    until(|| bench.waiting() == doomed.len()).await;
    let here = bench.spawn_waiting((0..10).map(|n| record(n, 10))).await;
    bench.store.open();
    other.shutdown_background();
    for task in here {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    for task in doomed.into_iter().chain([first]) {
        // Cancelled with its runtime, or answered.
        let _ = soon(task).await;
    }
    bench.is_at_rest().await;
}

#[tokio::test]
async fn callers_of_a_batch_that_dies_with_its_runtime_are_told() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            1 => Do::Hang,
            _ => Do::Answer,
        })
        .gated(),
    );
    let other = elsewhere();
    let first = other.spawn({
        let committer = bench.committer.clone();
        async move { committer.insert(record(100, 10), || PATIENCE).await }
    });
    until(|| bench.store.begun() == 1).await;
    let here = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
    bench.store.open();
    joined(first).await.unwrap();
    until(|| bench.store.begun() == 2).await;
    other.shutdown_background();
    for task in here {
        assert_eq!(
            told(joined(task).await),
            "the store is unavailable: the commit was interrupted"
        );
    }
    bench.is_at_rest().await;
}

#[tokio::test]
async fn an_insert_on_a_runtime_that_is_shut_down_or_on_none_ends_with_an_error() {
    let bench = Bench::new(Script::new());
    let gone = elsewhere();
    let handle = gone.handle().clone();
    // Until its last thread has ended, which must not be awaited on this one.
    std::thread::spawn(|| drop(gone)).join().unwrap();
    for runtime in [Some(handle), None] {
        let committer = bench.committer.clone();
        // On a thread of its own: the runtime of this test must not be the current one.
        let ended = std::thread::spawn(move || {
            let _entered = runtime.as_ref().map(runtime::Handle::enter);
            let mut insert = pin!(committer.insert(record(1, 10), || PATIENCE));
            (0..100).any(|_| matches!(poll_once(insert.as_mut()), Poll::Ready(Err(_))))
        });
        assert!(ended.join().unwrap());
        assert_eq!(bench.store.begun(), 0);
    }
    bench.is_at_rest().await;
}

/// Drops an insert at every poll; each time somebody else waits too, and everybody must be answered.
async fn drop_at_every_poll(setting: impl AsyncFn() -> (Bench, Vec<JoinHandle<Answer>>)) {
    at_every_poll(async |cut| {
        let (bench, before) = setting().await;
        let mine = record(1, 10);
        let id = mine.id;
        let mut insert = Box::pin(cut.of(bench.committer.insert(mine, || PATIENCE * 10)));
        // Once before the one that comes behind, so that it stands before it in the queue.
        let early = poll_once(insert.as_mut());
        let behind = bench.spawn(record(2, 10));
        let answer = match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => bench.turning(insert).await,
        };
        let other = bench.turning(joined(behind)).await;
        assert!(matches!(other, Ok(Inserted::Fresh)), "{cut:?}: {other:?}");
        for task in before {
            // Answered in whatever way: what must not be is that it waits for ever.
            let _ = bench.turning(joined(task)).await;
        }
        bench.is_at_rest().await;
        if let Some(Ok(_)) = answer {
            assert!(bench.store.has(id), "acknowledged and not kept");
        }
        answer.is_some()
    })
    .await;
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn an_insert_that_writes_at_once_may_be_dropped_at_any_point() {
    drop_at_every_poll(async || {
        let bench = Bench::new(Script::planned(|_, _| Do::AnswerAfter(5)));
        (bench, vec![])
    })
    .await;
}

#[tokio::test]
async fn an_insert_behind_another_batch_may_be_dropped_at_any_point() {
    drop_at_every_poll(async || {
        let bench = Bench::new(Script::planned(|_, _| Do::AnswerAfter(5)));
        let before = bench.occupy().await;
        (bench, vec![before])
    })
    .await;
}

#[tokio::test]
async fn an_insert_whose_batch_is_halved_and_retried_may_be_dropped_at_any_point() {
    drop_at_every_poll(async || {
        let bench = Bench::new(Script::planned(|number, records| match number {
            1 | 2 => Do::Fail,
            _ if records.len() > 1 => Do::Reject,
            _ => Do::AnswerAfter(2),
        }));
        let before = bench.occupy().await;
        (bench, vec![before])
    })
    .await;
}

#[tokio::test]
async fn an_insert_that_is_handed_a_dead_tasks_seat_may_be_dropped_at_any_point() {
    drop_at_every_poll(async || {
        let bench = Bench::new(Script::planned(|number, _| match number {
            0 => Do::HangAndPanicWhenDropped,
            _ => Do::AnswerAfter(3),
        }));
        let before = bench.occupy().await;
        bench.hands.advance(PATIENCE - Duration::from_millis(20));
        (bench, vec![before])
    })
    .await;
}

#[tokio::test]
async fn a_seat_on_its_way_to_a_caller_who_leaves_goes_on_to_the_next() {
    let bench = Bench::new(Script::planned(|number, _| match number {
        0 => Do::HangAndPanicWhenDropped,
        _ => Do::Answer,
    }));
    let stuck = bench.occupy().await;
    bench.hands.advance(PATIENCE / 2);
    // Polled by hand, so that it holds the seat without knowing it yet.
    let mut unaware = Box::pin(bench.committer.insert(record(1, 10), || PATIENCE));
    assert!(poll_once(unaware.as_mut()).is_pending());
    let next = bench.spawn_waiting((2..5).map(|n| record(n, 10))).await;
    bench.hands.advance(PATIENCE / 2);
    joined(stuck).await.unwrap_err();
    assert_eq!(bench.waiting(), 3, "its record is on its way back to it");
    drop(unaware);
    for task in next {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.sizes(), [1, 3]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_seat_passes_over_callers_who_leave_while_it_is_handed_on() {
    let bench = Bench::new(Script::new());
    let shared = &bench.committer.0;
    let seat = Seat::take(&mut shared.queue(), shared).unwrap();
    let mut receivers: Vec<_> = (0..3)
        .map(|number| {
            let (waiting, receiver) = Waiting::new(record(number, 10), PATIENCE);
            shared.queue().push(waiting);
            receiver
        })
        .collect();
    let mut last = receivers.pop().unwrap();
    drop(receivers);
    drop(seat);
    assert!(matches!(last.try_recv(), Ok(Reply::Handed(_))));
    bench.is_at_rest().await;
}
