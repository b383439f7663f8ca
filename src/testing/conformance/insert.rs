//! What an insert answers, and what is found afterwards.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Fixture, Outcome,
    calls::{LONG, Probe, clause, dead, event, events, ranked, retry_in},
};
use crate::store::{
    Action, Inbox, Inserted, NewRecord, Queue, QueueKind, Retention, State, StoreErrorKind,
};

/// An insert whose outcome was lost is simply repeated, in whatever state the record is by now.
/// Another id with the same key is a duplicate, told with the stored id, and changes nothing.
pub async fn the_same_id_again_is_fresh_and_another_id_is_a_duplicate<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let first = ranked("task", 3);
    let same_bytes = NewRecord::new(events(), "task", first.body.clone());
    let other_bytes = NewRecord::new(events(), "task", "other").with_rank(3);
    probe.put_fresh(&first).await;

    let again = async |state: State| {
        let answer = probe.put(&first).await;
        probe.same("the same id again", answer, Inserted::Fresh);
        for (record, differs) in [(&same_bytes, false), (&other_bytes, true)] {
            let answer = probe.put(record).await;
            let promised = Inserted::Duplicate {
                id: first.id,
                rank: 3,
                state,
                differs,
            };
            probe.same("another id", answer, promised);
        }
        let found = probe.known(&first).await;
        probe.same("the state after repeats", found.state, state);
        probe.same("the id after repeats", found.id, first.id);
    };
    again(State::Pending).await;
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &first);
    again(State::Leased).await;
    probe.applied(&leased.lease, retry_in(Duration::ZERO)).await;
    again(State::Pending).await;
    let leased = probe.one(&events(), LONG).await;
    probe.same("the attempt after repeats", leased.attempt, 2);
    probe.applied(&leased.lease, Action::Done).await;
    again(State::Done).await;
    probe
        .none_due(&events(), "after repeats of what is done")
        .await;

    let given_up = event("given up");
    probe.put_fresh(&given_up).await;
    let leased = probe.one(&events(), LONG).await;
    probe.applied(&leased.lease, dead()).await;
    let answer = probe.put(&given_up).await;
    probe.same("the same id after it died", answer, Inserted::Fresh);
    let answer = probe.put(&event("given up")).await;
    probe.seen(
        matches!(
            answer,
            Inserted::Duplicate {
                state: State::Dead,
                ..
            }
        ),
        || format!("another id after it died: promised a dead duplicate, seen {answer:?}"),
    );
    probe
        .none_due(&events(), "after repeats of what is dead")
        .await;
    Outcome::Kept
}

/// The second record of a key in one batch is a duplicate of the first, or an upgrade.
pub async fn a_repeat_within_one_batch_is_a_duplicate<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let first = event("task");
    let batch = [
        first.clone(),
        event("task"),
        first.clone(),
        ranked("task", 1),
    ];
    let answers = probe.insert(&batch).await;
    let duplicate = Inserted::Duplicate {
        id: first.id,
        rank: 0,
        state: State::Pending,
        differs: false,
    };
    let promised = vec![
        Inserted::Fresh,
        duplicate,
        Inserted::Fresh,
        Inserted::Upgraded,
    ];
    probe.same("repeats in one batch", answers, promised);
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &batch[3]);
    probe
        .none_due(&events(), "after the only record of the batch")
        .await;
    Outcome::Kept
}

/// A batch is no transaction: every record gets its own answer, in its own place.
pub async fn each_record_of_a_batch_is_answered_in_order<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let (low, high) = (ranked("low", 1), ranked("high", 5));
    let answers = probe.insert(&[low.clone(), high.clone()]).await;
    probe.same("two new keys", answers, vec![Inserted::Fresh; 2]);

    let batch = [
        event("new 1"),
        ranked("high", 4),
        ranked("low", 2),
        event("new 2"),
        high.clone(),
    ];
    let answers = probe.insert(&batch).await;
    let promised = vec![
        Inserted::Fresh,
        Inserted::Duplicate {
            id: high.id,
            rank: 5,
            state: State::Pending,
            differs: true,
        },
        Inserted::Upgraded,
        Inserted::Fresh,
        Inserted::Fresh,
    ];
    probe.same("a mixed batch", answers, promised);
    for record in [&batch[0], &batch[2], &batch[3], &high] {
        let found = probe.known(record).await;
        probe.same("the id of a key of the batch", found.id, record.id);
    }
    let answers = probe.insert(&[]).await;
    probe.same("an empty batch", answers, Vec::new());
    Outcome::Kept
}

/// Equal keys in two queues are two records, and no boundary can be shifted.
pub async fn queues_share_nothing<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let places = [
        (Queue::events("a"), "b:c"),
        (Queue::events("a:b"), "c"),
        (Queue::events("a"), "b"),
        (Queue::events("b"), "b"),
        (Queue::tracked("a"), "b"),
        (Queue::quarantine("a"), "b"),
        (Queue::events("a"), "B"),
        (Queue::events("A"), "b"),
        (Queue::events("a"), "b "),
    ];
    let records: Vec<_> = places
        .iter()
        .enumerate()
        .map(|(n, (queue, key))| NewRecord::new(queue.clone(), *key, format!("body {n}")))
        .collect();
    for record in &records {
        probe.put_fresh(record).await;
    }
    for record in &records {
        let found = probe.known(record).await;
        probe.same("the record of a key", found.id, record.id);
    }
    let mut leased = probe.lease(&Queue::events("a:b"), 10, LONG).await;
    probe.same("what one queue holds", leased.len(), 1);
    probe.is_record(&leased[0], &records[1]);
    probe.applied(&leased.remove(0).lease, Action::Done).await;
    for record in records.iter().filter(|record| record.id != records[1].id) {
        let state = probe.state(record).await;
        probe.same("a record of another queue", state, Some(State::Pending));
    }
    let leased = probe.lease(&Queue::tracked("a"), 10, LONG).await;
    probe.same("what the tracked queue holds", leased.len(), 1);
    probe.is_record(&leased[0], &records[4]);
    probe
        .none_due(&Queue::events("nobody"), "in a queue that nobody used")
        .await;
    Outcome::Kept
}

/// Quarantine keeps what it is given, recognises repeats, ages from arrival, and is never leased.
pub async fn quarantine_is_never_leased<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let queue = Queue::new("conformance", QueueKind::Quarantine);
    let record = NewRecord::new(queue.clone(), "digest", "{").with_meta("{}");
    probe.put_fresh(&record).await;
    let answer = probe
        .put(&NewRecord::new(queue.clone(), "digest", "{"))
        .await;
    probe.seen(matches!(answer, Inserted::Duplicate { .. }), || {
        format!("a repeat in quarantine: promised a duplicate, seen {answer:?}")
    });
    probe.none_due(&queue, "in quarantine").await;
    let found = probe.known(&record).await;
    probe.same("the state in quarantine", found.state, State::Pending);
    probe.same(
        "the body in quarantine",
        found.body,
        Some(record.body.clone()),
    );

    let everything_settled = Retention::default()
        .with_keys(Duration::ZERO)
        .with_bodies(Duration::ZERO)
        .with_dead(Duration::ZERO);
    probe.purge(&everything_settled).await;
    let state = probe.state(&record).await;
    probe.same(
        "after a purge of what is settled",
        state,
        Some(State::Pending),
    );
    probe
        .purge(&Retention::default().with_quarantine(Duration::ZERO))
        .await;
    let state = probe.state(&record).await;
    probe.same("after a purge of quarantine", state, None);
    Outcome::Kept
}

/// What was answered is found: id, rank, state, content, the last settlement and its error.
pub async fn find_agrees_with_what_was_answered<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let record = ranked("task", 2);
    let found = probe.find(&events(), b"task").await;
    probe.seen(found.is_none(), || "a key that nobody inserted is known");
    probe.put_fresh(&record).await;
    let agrees = async |state: State, settled_by| {
        let found = probe.known(&record).await;
        probe.same("the id", found.id, record.id);
        probe.same("the rank", found.rank, 2);
        probe.same("the state", found.state, state);
        probe.same(
            "the token of the last settlement",
            found.settled_by,
            settled_by,
        );
        let (body, meta) = (Some(record.body.clone()), Some(record.meta.clone()));
        probe.same("the body", found.body, body);
        probe.same("the meta", found.meta, meta);
        found.error
    };
    agrees(State::Pending, None).await;
    let first = probe.one(&events(), LONG).await.lease;
    agrees(State::Leased, None).await;
    probe.applied(&first, retry_in(Duration::ZERO)).await;
    let error = agrees(State::Pending, Some(first.token)).await;
    probe.same(
        "the error of a failed attempt",
        error.as_deref(),
        Some("not yet"),
    );
    let second = probe.one(&events(), LONG).await.lease;
    agrees(State::Leased, Some(first.token)).await;
    probe.applied(&second, dead()).await;
    let error = agrees(State::Dead, Some(second.token)).await;
    probe.same(
        "the error of a dead letter",
        error.as_deref(),
        Some("given up"),
    );

    let done = event("done");
    probe.put_fresh(&done).await;
    let lease = probe.one(&events(), LONG).await.lease;
    probe.applied(&lease, Action::Done).await;
    let found = probe.known(&done).await;
    probe.same("the state of what is done", found.state, State::Done);
    probe.same("the id of what is done", found.id, done.id);
    probe.same(
        "the token of what is done",
        found.settled_by,
        Some(lease.token),
    );
    probe.same("the body of what is done", found.body, Some(done.body));
    Outcome::Kept
}

/// Bodies of megabytes, empty bodies, and keys of any bytes.
pub async fn large_bodies_and_hostile_keys_come_back_byte_for_byte<F: Fixture>(
    fixture: &F,
) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys: Vec<Bytes> = [
        "a", "A", "a ", " a", "a\0", "a\0b", "%", "_", "'; --", "\\", "{a}", "*", "ä", "a\u{308}",
        "\u{202e}", "0", "00", "1e0",
    ]
    .iter()
    .map(|key| Bytes::from_static(key.as_bytes()))
    .chain([
        Bytes::from_static(b"\xff\xfe"),
        Bytes::from(vec![b'k'; 255]),
        Bytes::copy_from_slice(&every_byte[..255]),
    ])
    .collect();
    let large: Bytes = every_byte.repeat(2 * 4096).into();
    let bodies = [Bytes::new(), Bytes::from(every_byte), large];
    let records: Vec<_> = keys
        .iter()
        .zip(bodies.iter().cycle())
        .map(|(key, body)| {
            NewRecord::new(events(), key.clone(), body.clone()).with_meta(vec![b'm'; 16 * 1024])
        })
        .collect();
    for record in &records {
        probe.put_fresh(record).await;
    }
    for record in &records {
        let found = probe.known(record).await;
        probe.same("the record of a hostile key", found.id, record.id);
        probe.seen(found.body.as_ref() == Some(&record.body), || {
            format!("the body of {:?} is another one", record.key)
        });
        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, record);
        probe.applied(&leased.lease, Action::Done).await;
    }
    Outcome::Kept
}

/// What can never be stored is rejected, and not worth another try; what came with it is stored, with
/// it or without.
pub async fn a_bad_record_does_not_fail_its_neighbours<F: Fixture>(fixture: &F) -> Outcome {
    let probe = Probe::open(clause!(), fixture).await;
    let too_long = Bytes::from(vec![b'm'; 64 * 1024]);
    let bad = [
        event("long meta").with_meta(too_long.clone()),
        event(too_long),
        event(""),
    ];
    for (n, bad) in bad.into_iter().enumerate() {
        let batch = [
            event(format!("before {n}")),
            bad,
            event(format!("after {n}")),
        ];
        let is_stored = async |batch: &[NewRecord]| {
            let answers = probe.within("insert", probe.store().insert(batch)).await;
            match answers {
                Ok(answers) => {
                    let promised = vec![Inserted::Fresh; batch.len()];
                    probe.same("a batch with what a store may reject", answers, promised);
                    true
                }
                Err(error) => {
                    let kind = StoreErrorKind::Rejected;
                    probe.same("the error for what cannot be stored", error.kind(), kind);
                    false
                }
            }
        };
        let whole = is_stored(&batch).await;
        // As the group commit does with what is rejected: halves, down to the culprit.
        for good in [&batch[0], &batch[2]] {
            probe.put_fresh(good).await;
        }
        if !whole && is_stored(&batch[1..2]).await {
            probe.broken("a record was rejected among others, and stored alone");
        }
        for good in [&batch[0], &batch[2]] {
            let found = probe.known(good).await;
            probe.same("a neighbour of what is bad", found.id, good.id);
        }
    }
    Outcome::Kept
}
