//! What callers are told when the store does not do its work.

use super::*;
use crate::store::{RecordId, StoreErrorKind};

/// A store that rejects every batch with one of these in it.
fn rejecting(culprits: Vec<RecordId>) -> Script {
    Script::planned(move |_, records| {
        let guilty = records.iter().any(|record| culprits.contains(&record.id));
        if guilty { Do::Reject } else { Do::Answer }
    })
}

#[tokio::test]
async fn a_rejected_batch_is_halved_until_only_the_culprits_are_refused() {
    let culprits: [&[usize]; 7] = [&[0], &[15], &[6], &[3, 4], &[0, 15], &[7, 8, 9], &[]];
    for culprits in culprits {
        let records: Vec<_> = (0..16).map(|n| record(n, 10)).collect();
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let bench = Bench::new(rejecting(culprits.iter().map(|n| ids[*n]).collect()).gated());
        let first = bench.occupy().await;
        let rest = bench.spawn_waiting(records.into_iter()).await;
        bench.store.open();
        joined(first).await.unwrap();
        for (number, task) in rest.into_iter().enumerate() {
            let answer = joined(task).await;
            if culprits.contains(&number) {
                assert_eq!(told(answer), "the store rejects this: a byte too many");
            } else {
                assert_eq!(answer.unwrap(), Inserted::Fresh, "record {number}");
            }
        }
        let calls = bench.store.begun() - 1;
        assert!(
            calls <= 1 + culprits.len() * 2 * 4,
            "halving 16 takes 4 steps of 2 calls for a culprit: {calls}"
        );
        bench.is_at_rest().await;
    }
}

#[tokio::test]
async fn a_part_of_a_rejected_batch_is_still_retried_when_the_store_is_unavailable() {
    let culprit = record(0, 10);
    let id = culprit.id;
    let bench = Bench::new(
        Script::planned(move |number, records| match records {
            _ if number == 2 || number == 3 => Do::Fail,
            records if records.iter().any(|record| record.id == id) => Do::Reject,
            _ => Do::Answer,
        })
        .gated(),
    );
    let first = bench.occupy().await;
    let records = [culprit, record(1, 10), record(2, 10), record(3, 10)];
    let rest = bench.spawn_waiting(records.into_iter()).await;
    bench.store.open();
    bench.turning(joined(first)).await.unwrap();
    let mut answers = Vec::new();
    for task in rest {
        answers.push(
            bench
                .turning(joined(task))
                .await
                .map_err(|error| error.kind()),
        );
    }
    let fresh = Ok(Inserted::Fresh);
    assert_eq!(
        answers,
        [Err(StoreErrorKind::Rejected), fresh, fresh, fresh]
    );
}

#[tokio::test]
async fn an_unavailable_batch_is_tried_again_unchanged_until_it_is_in() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            0 => Do::Answer,
            1 | 3 => Do::Fail,
            2 => Do::WriteAndFail,
            _ => Do::Answer,
        })
        .gated(),
    );
    let first = bench.occupy().await;
    let rest = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
    bench.store.open();
    joined(first).await.unwrap();
    for task in rest {
        assert_eq!(bench.turning(joined(task)).await.unwrap(), Inserted::Fresh);
    }
    let calls = bench.store.calls();
    assert_eq!(calls.len(), 5);
    assert!(calls[2..].iter().all(|ids| *ids == calls[1]), "{calls:?}");
    bench.is_at_rest().await;
}

#[tokio::test]
async fn attempts_are_apart_on_the_clock() {
    let bench = Bench::new(Script::planned(|_, _| Do::Fail));
    let task = bench.spawn(record(1, 10));
    until(|| bench.store.begun() == 1 && bench.store.under_way() == 0).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.store.begun(), 1, "the clock stands still");
    bench.turning(joined(task)).await.unwrap_err();
    let attempts = bench.store.begun();
    assert!((5..40).contains(&attempts), "{attempts} attempts in 10 s");
}

#[tokio::test]
async fn a_store_that_stays_unavailable_is_given_up_in_time_and_its_words_are_passed_on() {
    let bench = Bench::new(
        Script::planned(|number, records| match records.len() {
            1 if number > 0 => Do::Answer,
            _ => Do::Fail,
        })
        .gated(),
    );
    let tasks: Vec<_> = (0..5).map(|n| bench.spawn(record(n, 10))).collect();
    bench.store.open();
    for task in tasks {
        assert_eq!(
            told(bench.turning(joined(task)).await),
            "the store is unavailable: the disk is full"
        );
    }
    assert!(bench.hands.elapsed() < PATIENCE, "before anybody hangs up");
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_call_that_hangs_is_dropped_at_the_deadline_and_the_next_batch_is_written() {
    let bench = Bench::new(Script::planned(|number, _| match number {
        0 => Do::Hang,
        _ => Do::Answer,
    }));
    let stuck = bench.occupy().await;
    bench.hands.advance(PATIENCE / 2);
    let next = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
    assert_eq!(bench.store.under_way(), 1);
    bench.hands.advance(PATIENCE / 2);
    assert_eq!(
        told(joined(stuck).await),
        "the store is unavailable: the store did not answer in time"
    );
    for task in next {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.sizes(), [1, 3]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_batch_is_given_the_time_of_its_most_patient_caller() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            1 => Do::Hang,
            _ => Do::Answer,
        })
        .gated(),
    );
    let first = bench.occupy().await;
    let hasty = tokio::spawn({
        let committer = bench.committer.clone();
        async move { committer.insert(record(1, 10), || PATIENCE / 10).await }
    });
    until(|| bench.waiting() == 1).await;
    let patient = bench.spawn_waiting([record(2, 10)].into_iter()).await;
    bench.store.open();
    joined(first).await.unwrap();
    until(|| bench.store.begun() == 2).await;
    bench.hands.advance(PATIENCE / 10);
    joined(hasty).await.unwrap_err();
    assert_eq!(bench.store.under_way(), 1, "the other one still waits");
    bench.hands.advance(PATIENCE);
    for task in patient {
        joined(task).await.unwrap_err();
    }
    bench.is_at_rest().await;
}

#[tokio::test]
async fn the_patience_of_one_batch_is_not_that_of_the_next() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            1 => Do::Hang,
            _ => Do::Answer,
        })
        .gated(),
    );
    let patient = tokio::spawn({
        let committer = bench.committer.clone();
        async move { committer.insert(record(1, 10), || PATIENCE * 100).await }
    });
    until(|| bench.store.begun() == 1).await;
    let hasty = bench.spawn_waiting([record(2, 10)].into_iter()).await;
    bench.store.open();
    joined(patient).await.unwrap();
    until(|| bench.store.begun() == 2).await;
    bench.hands.advance(PATIENCE);
    for task in hasty {
        joined(task).await.unwrap_err();
    }
    bench.is_at_rest().await;
}

#[tokio::test]
async fn nobody_waits_longer_than_he_can_though_the_batch_before_takes_for_ever() {
    let bench = Bench::new(Script::new().gated());
    let first = bench.occupy().await;
    let insert = bench.committer.insert(record(1, 10), || Duration::ZERO);
    soon(insert).await.unwrap_err();
    assert_eq!(bench.waiting(), 0, "it was taken out");
    bench.store.open();
    joined(first).await.unwrap();
    assert_eq!(bench.store.sizes(), [1]);
}

#[tokio::test]
async fn a_panic_of_the_store_fails_its_batch_alone_and_is_not_retried() {
    let bench = Bench::new(
        Script::planned(|number, _| match number {
            1 => Do::Panic,
            _ => Do::Answer,
        })
        .gated(),
    );
    let first = bench.occupy().await;
    let unlucky = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
    bench.store.let_through(1);
    joined(first).await.unwrap();
    until(|| bench.store.begun() == 2).await;
    let lucky = bench.spawn_waiting((3..6).map(|n| record(n, 10))).await;
    bench.store.open();
    for task in unlucky {
        assert_eq!(
            told(joined(task).await),
            "the store is unavailable: panicked: a bug in the store"
        );
    }
    for task in lucky {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.sizes(), [1, 3, 3]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_panic_that_kills_the_writing_task_hands_its_seat_to_whoever_waits() {
    let bench = Bench::new(Script::planned(|number, _| match number {
        0 => Do::HangAndPanicWhenDropped,
        _ => Do::Answer,
    }));
    let stuck = bench.occupy().await;
    bench.hands.advance(PATIENCE / 2);
    let next = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
    bench.hands.advance(PATIENCE / 2);
    let error = joined(stuck).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    for task in next {
        assert_eq!(joined(task).await.unwrap(), Inserted::Fresh);
    }
    assert_eq!(bench.store.sizes(), [1, 3]);
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_panic_that_kills_the_writing_task_frees_its_seat_when_nobody_waits() {
    let bench = Bench::new(Script::planned(|number, _| match number {
        0 => Do::HangAndPanicWhenDropped,
        _ => Do::Answer,
    }));
    let stuck = bench.occupy().await;
    bench.hands.advance(PATIENCE);
    joined(stuck).await.unwrap_err();
    bench.is_at_rest().await;
}

#[tokio::test]
async fn too_few_or_too_many_answers_fail_the_batch() {
    for count in [0, 2, 4, 1000] {
        let bench = Bench::new(
            Script::planned(move |number, _| match number {
                1 => Do::AnswerFor(count),
                _ => Do::Answer,
            })
            .gated(),
        );
        let first = bench.occupy().await;
        let rest = bench.spawn_waiting((0..3).map(|n| record(n, 10))).await;
        bench.store.open();
        joined(first).await.unwrap();
        for task in rest {
            let error = joined(task).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        }
        assert_eq!(bench.store.sizes(), [1, 3]);
        bench.is_at_rest().await;
    }
}

#[tokio::test]
async fn a_volatile_store_that_panics_hangs_or_miscounts_is_an_error_too() {
    let faults = [
        (Do::Panic, "panicked: a bug in the store"),
        (Do::Hang, "the store did not answer in time"),
        (
            Do::AnswerFor(2),
            "the store answered for another number of records than it was given",
        ),
        (Do::Fail, "the disk is full"),
    ];
    for (fault, said) in faults {
        let bench = Bench::new(Script::planned(move |_, _| fault).volatile());
        let task = bench.spawn(record(1, 10));
        until(|| bench.store.begun() == 1).await;
        bench.hands.advance(PATIENCE);
        assert_eq!(
            told(joined(task).await),
            format!("the store is unavailable: {said}")
        );
    }
}
