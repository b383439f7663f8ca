//! What operators tell a store.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use super::{
    Fixture, Need, Outcome,
    calls::{Calls, LONG, Probe, SHORT, clause, dead, event, events, ranked, retry_in},
};
use crate::{
    event::{Callback, Event, EventKey, InvalidKey, Meta, ParseError},
    store::{
        Action, Durability, Inbox, Inserted, NewRecord, Queue, RecordId, Retention, Settled, State,
        inspect::{Deleted, Inspect, Listing, ReleaseErrorKind, Released, Requeued, release},
    },
};

impl<S: Inspect> Calls<S> {
    async fn requeue(&self, queue: &Queue, ids: &[RecordId]) -> Vec<Requeued> {
        let answers = self
            .answer("requeue", self.store().requeue(queue, ids))
            .await;
        self.same("answers to a requeue", answers.len(), ids.len());
        answers
    }

    async fn delete(&self, queue: &Queue, ids: &[RecordId]) -> Vec<Deleted> {
        let answers = self.answer("delete", self.store().delete(queue, ids)).await;
        self.same("answers to a deletion", answers.len(), ids.len());
        answers
    }
}

/// What is dead, and what is done while its body is kept, is due at once and begins again.
pub async fn a_requeue_begins_again<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    for (key, ending, failures) in [("dead", dead(), 2), ("done", Action::Done, 1)] {
        let record = ranked(key, 2);
        probe.put_fresh(&record).await;
        probe.one(&events(), SHORT).await;
        probe.pass(SHORT).await;
        let failed = probe.one(&events(), LONG).await;
        probe.applied(&failed.lease, retry_in(Duration::ZERO)).await;
        let leased = probe.one(&events(), LONG).await;
        probe.same("the attempt before", leased.attempt, 3);
        probe.applied(&leased.lease, ending.clone()).await;
        probe.pass(SHORT).await;

        let answers = probe.requeue(&events(), &[record.id]).await;
        probe.same("a requeue", answers, vec![Requeued::Applied]);
        let answers = probe.requeue(&events(), &[record.id]).await;
        probe.same("a requeue repeated", answers, vec![Requeued::Pending]);
        let looked = probe.looked(&record).await;
        probe.same("the state after it", looked.summary.state, State::Pending);
        probe.same("the failures after it", looked.failures.len(), failures);
        for stale in [&failed.lease, &leased.lease] {
            for action in [ending.clone(), retry_in(LONG), Action::Disown] {
                let what = format!("settling {action:?} with a token from before");
                let settled = probe.end(stale, action).await;
                probe.same(&what, settled, Settled::Stale);
            }
        }
        let answer = probe.put(&record).await;
        probe.same("the same id after a requeue", answer, Inserted::Fresh);
        let answer = probe.put(&ranked(key, 2)).await;
        let promised = Inserted::Duplicate {
            id: record.id,
            rank: 2,
            state: State::Pending,
            differs: false,
        };
        probe.same("another id after a requeue", answer, promised);

        let leased = probe.one(&events(), LONG).await;
        probe.is_record(&leased, &record);
        probe.same("the attempt after a requeue", leased.attempt, 1);
        probe.same("the expiries after a requeue", leased.expiries, 0);
        probe.seen(
            leased.age < LONG,
            || "the age is beyond the time that passed",
        );
        let answers = probe.requeue(&events(), &[record.id]).await;
        probe.same("a requeue while leased", answers, vec![Requeued::Leased]);
        let state = probe.state(&record).await;
        probe.same("the state of what is leased", state, Some(State::Leased));
        probe.applied(&leased.lease, Action::Done).await;
    }
    Outcome::Kept
}

/// Each record of a batch is answered for itself, in order, as if they came one after the other.
pub async fn a_requeue_is_answered_item_by_item<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let gone = event("gone");
    probe.finish(&gone, Action::Done).await;
    probe
        .purge(&Retention::default().with_bodies(Duration::ZERO))
        .await;
    let (first, second) = (event("first"), event("second"));
    probe.finish(&first, dead()).await;
    probe.finish(&second, dead()).await;
    let leased = event("leased");
    probe.put_fresh(&leased).await;
    probe.one(&events(), LONG).await;
    let waiting = event("waiting").with_due_in(LONG);
    probe.put_fresh(&waiting).await;
    let other = NewRecord::new(Queue::events("another"), "first", "");
    probe.finish(&other, dead()).await;
    let unread = NewRecord::new(Queue::quarantine("conformance"), "digest", "{");
    probe.put_fresh(&unread).await;

    let ids = [
        RecordId::random(),
        first.id,
        leased.id,
        gone.id,
        waiting.id,
        first.id,
        other.id,
        second.id,
    ];
    let answers = probe.requeue(&events(), &ids).await;
    let promised = vec![
        Requeued::Unknown,
        Requeued::Applied,
        Requeued::Leased,
        Requeued::Gone,
        Requeued::Pending,
        Requeued::Pending,
        Requeued::Unknown,
        Requeued::Applied,
    ];
    probe.same("a mixed requeue", answers, promised);
    let answers = probe.requeue(&unread.queue, &[unread.id]).await;
    probe.same("a requeue of quarantine", answers, vec![Requeued::Pending]);
    probe.none_due(&unread.queue, "in quarantine").await;
    let states = [
        (&first, State::Pending),
        (&second, State::Pending),
        (&leased, State::Leased),
        (&waiting, State::Pending),
        (&gone, State::Done),
        (&other, State::Dead),
    ];
    for (record, state) in states {
        let now = probe.state(record).await;
        probe.same("the state after a mixed requeue", now, Some(state));
    }
    let due = probe.lease(&events(), 9, LONG).await;
    probe.same("what is due after it", due.len(), 2);
    let answers = probe.requeue(&events(), &[]).await;
    probe.same("an empty requeue", answers, Vec::new());
    let answers = probe.requeue(&Queue::events("nobody"), &[first.id]).await;
    probe.same(
        "a requeue in an unused queue",
        answers,
        vec![Requeued::Unknown],
    );
    Outcome::Kept
}

/// However many operators requeue the same dead letters: each is handled once, and none is lost.
pub async fn many_operators_requeue_once<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    for round in 0..5 {
        let letters: Vec<_> = (0..10).map(|n| event(format!("{round} {n}"))).collect();
        for letter in &letters {
            probe.finish(letter, dead()).await;
        }
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        let operators = (0..4).map(|operator| {
            let (calls, mut ids) = (probe.calls(), ids.clone());
            if operator % 2 > 0 {
                ids.reverse();
            }
            async move { calls.requeue(&events(), &ids).await }
        });
        let repeats = letters.iter().map(|letter| {
            let (calls, repeat) = (probe.calls(), event(letter.key.clone()));
            async move { calls.put(&repeat).await }
        });
        let (answers, repeats) = tokio::join!(probe.all(operators), probe.all(repeats));
        let answers = answers.concat();
        let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
        probe.same("requeues that were applied", count(Requeued::Applied), 10);
        probe.same("requeues that came later", count(Requeued::Pending), 30);
        for answer in repeats {
            probe.seen(matches!(answer, Inserted::Duplicate { .. }), || {
                format!("a repeat during a requeue: promised a duplicate, seen {answer:?}")
            });
        }
        let leased = probe.lease(&events(), 100, LONG).await;
        probe.same("records that are due", leased.len(), 10);
        for leased in leased {
            probe.applied(&leased.lease, Action::Done).await;
        }
    }
    Outcome::Kept
}

/// What is deleted is gone, and its key is free; what is leased stays.
pub async fn what_is_deleted_frees_its_key<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let remembered = event("remembered");
    probe.finish(&remembered, Action::Done).await;
    probe
        .purge(&Retention::default().with_bodies(Duration::ZERO))
        .await;
    let (given_up, done) = (event("dead"), event("done"));
    probe.finish(&given_up, dead()).await;
    probe.finish(&done, Action::Done).await;
    let (leased, expired) = (event("leased"), event("expired"));
    probe.put_fresh(&leased).await;
    let held = probe.one(&events(), LONG).await;
    probe.put_fresh(&expired).await;
    let lost = probe.one(&events(), SHORT).await;
    let waiting = event("waiting").with_due_in(LONG);
    probe.put_fresh(&waiting).await;
    let other = NewRecord::new(Queue::events("another"), "dead", "");
    probe.finish(&other, dead()).await;
    probe.pass(SHORT).await;

    let gone = [&given_up, &done, &remembered, &expired, &waiting];
    let mut ids: Vec<_> = gone.iter().map(|record| record.id).collect();
    ids.extend([leased.id, given_up.id, RecordId::random(), other.id]);
    let answers = probe.delete(&events(), &ids).await;
    let mut promised = vec![Deleted::Applied; 5];
    promised.extend([
        Deleted::Leased,
        Deleted::Unknown,
        Deleted::Unknown,
        Deleted::Unknown,
    ]);
    probe.same("a mixed deletion", answers, promised);
    for record in gone {
        let state = probe.state(record).await;
        probe.same("the state of what was deleted", state, None);
        let looked = probe.look(&events(), record.id).await;
        probe.same("a look at what was deleted", looked, None);
    }
    let settled = probe.end(&lost.lease, Action::Done).await;
    probe.same("a lease that was deleted", settled, Settled::Stale);
    let told = probe.list(&events(), Listing::all()).await;
    let told: Vec<_> = told.into_iter().map(|summary| summary.id).collect();
    probe.same("what is left", told, vec![leased.id]);
    let counts = probe.counts(&events()).await;
    let counts = (counts.pending, counts.leased, counts.done, counts.dead);
    probe.same("the counts of what is left", counts, (0, 1, 0, 0));
    let state = probe.state(&other).await;
    probe.same("the record of another queue", state, Some(State::Dead));
    for record in gone {
        probe.put_fresh(&event(record.key.clone())).await;
    }
    let due = probe.lease(&events(), 9, LONG).await;
    probe.same("new records of the freed keys", due.len(), gone.len());
    probe.applied(&held.lease, Action::Done).await;

    let unread = NewRecord::new(Queue::quarantine("conformance"), "digest", "{");
    probe.put_fresh(&unread).await;
    let answers = probe.delete(&unread.queue, &[unread.id]).await;
    probe.same("a deletion in quarantine", answers, vec![Deleted::Applied]);
    let counts = probe.counts(&unread.queue).await;
    probe.same("what is left in quarantine", counts.pending, 0);
    let answers = probe.delete(&events(), &[]).await;
    probe.same("an empty deletion", answers, Vec::new());
    Outcome::Kept
}

/// A callback that can be read by now is handed on under its own key and rank, and leaves quarantine.
pub async fn a_release_inserts_and_then_deletes<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let quarantine = Queue::quarantine("conformance");
    let mut headers = HeaderMap::new();
    headers.insert("x-listed", http::HeaderValue::from_static("kept"));
    headers.insert("x-other", http::HeaderValue::from_static("dropped"));
    let arrived = std::time::UNIX_EPOCH + LONG;
    let mut meta = Meta::new(arrived, &headers);
    meta.correlation = Some("order-7".to_owned());
    let reason = || "not this event".to_owned();
    let unread = async |key: &str, body: &str, signed: Option<&str>| {
        let meta = meta.clone().quarantined(reason(), signed, None);
        let record = NewRecord::new(quarantine.clone(), key.to_owned(), body.to_owned())
            .with_meta(meta.encode());
        probe.put_fresh(&record).await;
        record
    };
    let release = async |record: &NewRecord| {
        let released = release::<Paid>(probe.store(), &quarantine, record.id);
        let released = probe.within("release", released).await;
        released.map_err(|error| error.kind())
    };

    let paid = r#"{"order":"a","rank":1}"#;
    let first = unread("digest 1", paid, Some("a")).await;
    let released = release(&first).await;
    probe.same("a release", released, Ok(Released::Stored));
    let state = probe.state(&first).await;
    probe.same("what was released, in quarantine", state, None);
    let leased = probe.one(&events(), LONG).await;
    probe.same("the key", &*leased.key, b"a");
    probe.same("the rank", leased.rank, 1);
    probe.same("the body", &*leased.body, paid.as_bytes());
    let Ok(kept) = Meta::decode(&leased.meta) else {
        probe.broken("the meta cannot be read");
    };
    probe.same("the reason", kept.reason.clone(), None);
    probe.same(
        "the correlation id",
        kept.correlation.as_deref(),
        Some("order-7"),
    );
    probe.same("the arrival", kept.arrived(), arrived);
    headers.remove("x-other");
    probe.same("the headers", kept.headers(), headers.clone());
    probe.applied(&leased.lease, Action::Done).await;
    let released = release(&first).await;
    probe.same(
        "a release repeated",
        released,
        Err(ReleaseErrorKind::Unknown),
    );

    // What is known already, and what was released before the answer was lost.
    let second = unread("digest 2", paid, None).await;
    let released = release(&second).await;
    probe.same(
        "a release of what is known",
        released,
        Ok(Released::Repeated),
    );
    let state = probe.state(&second).await;
    probe.same("what was repeated, in quarantine", state, None);
    let third = unread("digest 3", r#"{"order":"a","rank":2}"#, None).await;
    let released = release(&third).await;
    probe.same(
        "a release of a higher rank",
        released,
        Ok(Released::Upgraded),
    );

    let unreadable = unread("digest 4", "{", None).await;
    let released = release(&unreadable).await;
    probe.same(
        "what cannot be read",
        released,
        Err(ReleaseErrorKind::Unreadable),
    );
    let foreign = unread("digest 5", r#"{"order":"b","rank":0}"#, Some("a")).await;
    let released = release(&foreign).await;
    probe.same("another subject", released, Err(ReleaseErrorKind::Subject));
    for record in [&unreadable, &foreign] {
        let state = probe.state(record).await;
        probe.same("what is not released", state, Some(State::Pending));
    }
    let state = probe.state(&event("b")).await;
    probe.same("the event of another subject", state, None);
    let queue = events();
    let nowhere = crate::store::inspect::release::<Paid>(probe.store(), &queue, first.id);
    let nowhere = probe
        .within("release", nowhere)
        .await
        .map_err(|error| error.kind());
    probe.same(
        "a release of events",
        nowhere,
        Err(ReleaseErrorKind::NotQuarantine),
    );
    Outcome::Kept
}

/// An event to release.
#[derive(Deserialize)]
struct Paid {
    order: String,
    rank: u16,
}

impl Event for Paid {
    const HEADERS: &'static [&'static str] = &["x-listed"];

    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        callback.json()
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        Ok(EventKey::new(&self.order)?.with_rank(self.rank))
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.order)
    }
}

/// A requeue is no new record, and a deletion makes room.
pub async fn a_full_store_can_be_operated<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let clause = clause!();
    let Some(store) = fixture.open_bounded(2).await else {
        return Need::Limit.does_not_apply();
    };
    let probe = Probe::on(clause, fixture, store);
    let letter = event("letter");
    probe.finish(&letter, dead()).await;
    let (a, b, c) = (event("a"), event("b"), event("c"));
    probe.insert(&[a.clone(), b]).await;
    let answer = probe.put(&c).await;
    probe.same("a new record", answer, Inserted::Full);
    let answers = probe.requeue(&events(), &[letter.id]).await;
    probe.same(
        "a requeue in a full store",
        answers,
        vec![Requeued::Applied],
    );
    let answers = probe.delete(&events(), &[letter.id, a.id]).await;
    probe.same(
        "a deletion in a full store",
        answers,
        vec![Deleted::Applied; 2],
    );
    probe.put_fresh(&c).await;
    Outcome::Kept
}

/// What was told to the store, and what failed, is known when it is opened again.
pub async fn what_operators_did_survives_reopening<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    if probe.store().durability() == Durability::Volatile {
        return Need::Durability.does_not_apply();
    }
    let (requeued, deleted, failed) = (event("requeued"), event("deleted"), event("failed"));
    probe.finish(&requeued, dead()).await;
    probe.finish(&deleted, dead()).await;
    probe.finish(&failed, retry_in(LONG)).await;
    let answers = probe.requeue(&events(), &[requeued.id]).await;
    probe.same("a requeue", answers, vec![Requeued::Applied]);
    let answers = probe.delete(&events(), &[deleted.id]).await;
    probe.same("a deletion", answers, vec![Deleted::Applied]);

    let probe = probe.reopen().await;
    let looked = probe.looked(&requeued).await;
    probe.same("what was requeued", looked.summary.state, State::Pending);
    probe.same("its failures", looked.failures.len(), 1);
    let looked = probe.look(&events(), deleted.id).await;
    probe.same("what was deleted", looked, None);
    let looked = probe.looked(&failed).await;
    probe.same("the failures of a record", looked.failures.len(), 1);
    probe.same("the error", &*looked.failures[0].error, "not yet");
    let leased = probe.one(&events(), LONG).await;
    probe.is_record(&leased, &requeued);
    probe.none_due(&events(), "after what was requeued").await;
    Outcome::Kept
}
