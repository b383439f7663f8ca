//! What operators see.

use std::{collections::HashSet, time::Duration};

use super::{
    Fixture, Outcome,
    calls::{Calls, LONG, Probe, SHORT, clause, dead, event, events, ranked, retry_in},
};
use crate::store::{
    Action, Inserted, NewRecord, Queue, RecordId, Retention, State, StoreErrorKind,
    inspect::{Cursor, Inspect, Listing, Page, Record, Summary},
};

impl<S: Inspect> Calls<S> {
    pub(super) async fn counts(&self, queue: &Queue) -> crate::store::Counts {
        self.answer("counts", self.store().counts(queue)).await
    }

    pub(super) async fn page(&self, queue: &Queue, listing: &Listing) -> Page {
        let page = self.answer("list", self.store().list(queue, listing)).await;
        self.seen(page.records.len() <= listing.limit(), || {
            format!("a page of at most {} is longer", listing.limit())
        });
        page
    }

    /// All pages.
    pub(super) async fn list(&self, queue: &Queue, mut listing: Listing) -> Vec<Summary> {
        let mut records = Vec::new();
        for _ in 0..1000 {
            let page = self.page(queue, &listing).await;
            records.extend(page.records);
            match page.next {
                Some(cursor) => listing.after = Some(cursor),
                None => return records,
            }
        }
        self.broken("a list has no end");
    }

    pub(super) async fn look(&self, queue: &Queue, id: RecordId) -> Option<Record> {
        self.answer("look", self.store().look(queue, id)).await
    }

    pub(super) async fn looked(&self, record: &NewRecord) -> Record {
        match self.look(&record.queue, record.id).await {
            Some(looked) => looked,
            None => self.broken("a record that was acknowledged cannot be looked at"),
        }
    }

    /// Inserts what must be new, leases it and settles it.
    pub(super) async fn finish(&self, record: &NewRecord, action: Action) {
        self.put_fresh(record).await;
        let leased = self.lease(&record.queue, 1, LONG).await;
        self.same("records that are due", leased.len(), 1);
        self.applied(&leased[0].lease, action).await;
    }
}

/// Each record counts once, in the state that it is found in, and only in its queue; and what is due
/// tells since when.
pub async fn counts_agree_with_what_was_answered<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let none = probe.counts(&events()).await;
    probe.same("counts of nothing", none, Default::default());
    probe.put_fresh(&event("later").with_due_in(LONG)).await;
    let counts = probe.counts(&events()).await;
    probe.same("since when nothing is due", counts.oldest_due, None);

    probe.finish(&event("done"), Action::Done).await;
    probe.finish(&event("dead"), dead()).await;
    probe.finish(&event("disowned"), Action::Disown).await;
    probe.finish(&event("failed"), retry_in(LONG)).await;
    probe.put_fresh(&event("leased")).await;
    probe.one(&events(), LONG).await;
    probe.put_fresh(&event("expired")).await;
    probe.put_fresh(&event("replaced")).await;
    let leased = probe.lease(&events(), 2, SHORT).await;
    probe.same("records that are due", leased.len(), 2);
    let newer = ranked("replaced", 1).with_due_in(LONG);
    let answer = probe.put(&newer).await;
    probe.same("a higher rank", answer, Inserted::Upgraded);
    let unread = NewRecord::new(Queue::quarantine("conformance"), "digest", "{");
    probe.put_fresh(&unread).await;
    probe.pass(SHORT * 3).await;

    let counts = probe.counts(&events()).await;
    let seen = (counts.pending, counts.leased, counts.done, counts.dead);
    probe.same("pending, leased, done and dead", seen, (4, 1, 1, 1));
    let due = counts.oldest_due.unwrap_or_default();
    probe.seen(due >= SHORT, || {
        format!("what expired {SHORT:?} ago or longer has been due for {due:?}")
    });
    probe.seen(due < LONG, || {
        format!("what expired a moment ago has been due for {due:?}")
    });
    let counts = probe.counts(&Queue::quarantine("conformance")).await;
    let seen = (counts.pending, counts.done, counts.dropped);
    probe.same("pending, done and dropped of quarantine", seen, (1, 0, 0));
    let age = counts.oldest_due.unwrap_or_default();
    probe.seen(age >= SHORT * 3 && age < LONG, || {
        format!("the oldest in quarantine has been there for {age:?}")
    });
    let other = probe.counts(&Queue::events("nobody")).await;
    probe.same("counts of another queue", other, Default::default());
    Outcome::Kept
}

/// Every queue that holds something, in order, each once.
pub async fn queues_are_told_in_order<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let queues = [
        Queue::events("a"),
        Queue::quarantine("a"),
        Queue::tracked("a"),
        Queue::events("b"),
    ];
    for (n, queue) in queues.iter().rev().enumerate() {
        for key in ["one", "two"] {
            let record = NewRecord::new(queue.clone(), format!("{key} {n}"), "");
            probe.put_fresh(&record).await;
        }
    }
    let told = probe.answer("queues", probe.store().queues()).await;
    probe.same("the queues", told, queues.to_vec());
    Outcome::Kept
}

/// What is alive as it is due, then what is dead and then what is done, the latest first; in pages of
/// any size, and of one state if one is asked for.
pub async fn a_list_tells_each_record_once_and_in_order<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    for n in 0..3 {
        probe
            .finish(&event(format!("done {n}")), Action::Done)
            .await;
        probe.finish(&event(format!("dead {n}")), dead()).await;
        // So that no two are settled at the same moment.
        probe.pass(SHORT / 2).await;
    }
    probe.put_fresh(&event("leased")).await;
    probe.one(&events(), LONG * 3).await;
    let last = event("due last").with_due_in(LONG * 2);
    let later = event("due later").with_due_in(LONG);
    for record in [last, later, event("due 0"), event("due 1"), event("due 2")] {
        probe.put_fresh(&record).await;
    }
    let other = NewRecord::new(Queue::events("another"), "other", "");
    probe.finish(&other, dead()).await;
    probe
        .put_fresh(&NewRecord::new(Queue::events("another"), "one more", ""))
        .await;

    let alive = ["due 0", "due 1", "due 2", "due later", "due last", "leased"];
    let pending = &alive[..5];
    let dead = ["dead 2", "dead 1", "dead 0"];
    let done = ["done 2", "done 1", "done 0"];
    let all = [&alive[..], &dead, &done].concat();
    for (state, promised) in [
        (None, &all[..]),
        (Some(State::Pending), pending),
        (Some(State::Leased), &alive[5..]),
        (Some(State::Dead), &dead),
        (Some(State::Done), &done),
    ] {
        for limit in [1, 2, 3, 1000] {
            let mut listing = Listing::all().with_limit(limit);
            listing.state = state;
            let told = probe.list(&events(), listing).await;
            let keys: Vec<_> = told
                .iter()
                .map(|summary| summary.key.clone().unwrap_or_default())
                .collect();
            let what = format!("the list of {state:?} in pages of {limit}");
            probe.same(
                &what,
                keys,
                promised.iter().map(|key| (*key).into()).collect(),
            );
            let wrong = told
                .iter()
                .find(|told| state.is_some_and(|s| s != told.state));
            probe.same("what is in another state", wrong, None);
        }
    }

    let quarantine = Queue::quarantine("conformance");
    for n in 0..3 {
        let unread = NewRecord::new(quarantine.clone(), format!("unread {n}"), "{");
        probe.put_fresh(&unread).await;
        probe.pass(SHORT / 2).await;
    }
    for state in [None, Some(State::Pending), Some(State::Dead)] {
        let mut listing = Listing::all().with_limit(2);
        listing.state = state;
        let told = probe.list(&quarantine, listing).await;
        let keys: Vec<_> = told.into_iter().filter_map(|summary| summary.key).collect();
        let promised: &[&str] = match state {
            Some(State::Dead) => &[],
            _ => &["unread 0", "unread 1", "unread 2"],
        };
        probe.same(
            "the list of quarantine",
            keys,
            promised.iter().map(|key| (*key).into()).collect(),
        );
    }
    let told = probe.list(&Queue::events("nobody"), Listing::all()).await;
    probe.same("the list of an unused queue", told, Vec::new());
    Outcome::Kept
}

/// While one goes through the pages, others insert, settle and purge: what stays as it is comes once.
pub async fn a_list_is_stable_while_others_are_at_work<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let mut stays = HashSet::new();
    for n in 0..6 {
        let dead_one = event(format!("dead {n}"));
        probe.finish(&dead_one, dead()).await;
        let done = event(format!("done {n}"));
        probe.finish(&done, Action::Done).await;
        probe
            .finish(&event(format!("old {n}")), Action::Disown)
            .await;
        let waiting = event(format!("waiting {n}")).with_due_in(LONG * (n + 1));
        probe.put_fresh(&waiting).await;
        stays.extend([dead_one.id, done.id, waiting.id]);
    }
    let goes: Vec<_> = (0..8).map(|n| event(format!("goes {n}"))).collect();
    probe.insert(&goes).await;

    let mut told = Vec::new();
    let mut listing = Listing::all().with_limit(2);
    for round in 0..1000 {
        let page = probe.page(&events(), &listing).await;
        told.extend(page.records.into_iter().map(|summary| summary.id));
        let Some(cursor) = page.next else {
            break;
        };
        // As from one call of a command to the next.
        let Ok(cursor) = cursor.to_string().parse() else {
            probe.broken("a cursor that was written down cannot be read");
        };
        listing = listing.after(cursor);
        if round >= 20 {
            continue;
        }
        let new = [
            event(format!("new {round}")),
            event(format!("new and later {round}")).with_due_in(LONG),
        ];
        probe.insert(&new).await;
        let mut ends = [Action::Done, dead(), retry_in(LONG)].into_iter().cycle();
        for leased in probe.lease(&events(), 2, LONG).await {
            probe
                .applied(&leased.lease, ends.next().unwrap_or(Action::Done))
                .await;
        }
        probe.purge(&Retention::default()).await;
    }
    let repeated = told.iter().filter(|id| stays.contains(id)).count();
    told.retain(|id| stays.contains(id));
    let told: HashSet<_> = told.into_iter().collect();
    probe.same(
        "records that stay as they are, and were told",
        told.len(),
        stays.len(),
    );
    probe.same("how often they were told", repeated, stays.len());
    Outcome::Kept
}

/// A cursor that the store never gave is refused, and harms nothing.
pub async fn a_cursor_of_nobody_is_rejected<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    probe.insert(&[event("a"), event("b")]).await;
    for bytes in [&b""[..], b"\xff", &[0xff; 40], b"'; DROP TABLE"] {
        let listing = Listing::all().after(Cursor::from_bytes(bytes));
        let queue = events();
        let list = probe.store().list(&queue, &listing);
        match probe.within("list", list).await {
            Err(error) => probe.same(
                "the error for a cursor of nobody",
                error.kind(),
                StoreErrorKind::Rejected,
            ),
            Ok(_) => probe.broken(format_args!("the cursor {bytes:?} was taken")),
        }
    }
    let told = probe.list(&events(), Listing::all()).await;
    probe.same("the list afterwards", told.len(), 2);
    Outcome::Kept
}

/// What one record has been through: states, attempts, expiries, times and payload.
pub async fn a_look_tells_everything_that_is_known<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let record = ranked("task", 3);
    let nobody = probe.look(&events(), record.id).await;
    probe.same("what nobody inserted", nobody, None);
    probe.put_fresh(&record).await;
    let elsewhere = probe.look(&Queue::events("nobody"), record.id).await;
    probe.same("the record in another queue", elsewhere, None);

    let agrees = async |state: State, attempts: u32, expiries: u32| {
        let looked = probe.looked(&record).await;
        let summary = &looked.summary;
        probe.same("the id", summary.id, record.id);
        probe.same("the rank", summary.rank, record.rank);
        probe.same("the state", summary.state, state);
        probe.same("the key", summary.key.as_ref(), Some(&record.key));
        probe.same("the attempts", summary.attempts, attempts);
        probe.same("the expiries", summary.expiries, expiries);
        probe.same("the body", looked.body.as_ref(), Some(&record.body));
        probe.same("the meta", looked.meta.as_ref(), Some(&record.meta));
        let listed = probe.list(&events(), Listing::of(state)).await;
        let listed = listed.iter().find(|listed| listed.id == record.id);
        let told = |summary: &Summary| (summary.state, summary.attempts, summary.error.clone());
        probe.same(
            "what a list tells of it",
            listed.map(told),
            Some(told(summary)),
        );
        looked
    };
    let is_about = |what: &str, told: Option<Duration>, least: Duration, most: Duration| {
        probe.seen(
            told.is_some_and(|told| told >= least && told <= most),
            || format!("{what}: promised {least:?} to {most:?}, seen {told:?}"),
        );
    };
    probe.pass(SHORT).await;
    let looked = agrees(State::Pending, 0, 0).await;
    is_about("the age", looked.summary.age, SHORT, LONG);
    is_about(
        "until it is due",
        looked.summary.due_in,
        Duration::ZERO,
        Duration::ZERO,
    );
    probe.same("since it was settled", looked.summary.settled, None);

    // Long enough for a busy machine to look at it before it ends.
    let ttl = SHORT * 25;
    let leased = probe.one(&events(), ttl).await;
    let looked = agrees(State::Leased, 1, 0).await;
    is_about(
        "until the lease ends",
        looked.summary.due_in,
        Duration::ZERO,
        ttl,
    );
    drop(leased);
    probe.pass(ttl).await;
    agrees(State::Pending, 1, 1).await;
    let leased = probe.one(&events(), LONG).await;
    agrees(State::Leased, 2, 1).await;
    probe.applied(&leased.lease, retry_in(LONG)).await;
    let looked = agrees(State::Pending, 2, 1).await;
    is_about("until the retry", looked.summary.due_in, LONG / 2, LONG);
    probe.same(
        "the last error",
        looked.summary.error.as_deref(),
        Some("not yet"),
    );

    let given_up = event("given up");
    probe.finish(&given_up, dead()).await;
    probe.pass(SHORT).await;
    let looked = probe.looked(&given_up).await;
    probe.same("the state", looked.summary.state, State::Dead);
    probe.same("the body of what is dead", looked.body, Some(given_up.body));
    probe.same(
        "the last error",
        looked.summary.error.as_deref(),
        Some("given up"),
    );
    is_about("since it was settled", looked.summary.settled, SHORT, LONG);
    probe.same("until what is dead is due", looked.summary.due_in, None);

    let done = event("done");
    probe.finish(&done, Action::Done).await;
    let looked = probe.looked(&done).await;
    probe.same("the state", looked.summary.state, State::Done);
    probe.same(
        "the body of what is done",
        looked.body,
        Some(done.body.clone()),
    );
    probe
        .purge(&Retention::default().with_bodies(Duration::ZERO))
        .await;
    let looked = probe.looked(&done).await;
    probe.same("the state", looked.summary.state, State::Done);
    probe.same("a body that was purged", looked.body, None);
    probe.same(
        "the failures of what was purged",
        looked.failures,
        Vec::new(),
    );
    probe.seen(
        looked.summary.settled.is_some(),
        || "the time of settlement went with the body",
    );

    let unread = NewRecord::new(Queue::quarantine("conformance"), "digest", "{").with_meta("{}");
    probe.put_fresh(&unread).await;
    let looked = probe.looked(&unread).await;
    probe.same("the body in quarantine", looked.body, Some(unread.body));
    probe.same("until quarantine is due", looked.summary.due_in, None);
    Outcome::Kept
}

/// The newest sixteen failed attempts, the newest first; an upgrade begins anew.
pub async fn the_newest_failures_are_remembered<F>(fixture: &F) -> Outcome
where
    F: Fixture<Store: Inspect>,
{
    let probe = Probe::open(clause!(), fixture).await;
    let record = event("task");
    probe.put_fresh(&record).await;
    probe.put_fresh(&event("neighbour").with_due_in(LONG)).await;
    let many = u32::try_from(Record::MAX_FAILURES).unwrap_or(u32::MAX) + 4;
    for attempt in 1..=many {
        let leased = probe.one(&events(), LONG).await;
        let error = format!("error {attempt}");
        let after = Duration::ZERO;
        // What is settled again with the same token failed once.
        for _ in 0..2 {
            let error = error.clone();
            probe
                .applied(&leased.lease, Action::RetryIn { after, error })
                .await;
        }
        let failures = probe.looked(&record).await.failures;
        let seen: Vec<_> = failures.iter().map(|failed| failed.attempt).collect();
        let promised = (1..=attempt).rev().take(Record::MAX_FAILURES).collect();
        probe.same("the attempts that failed", seen, promised);
        probe.same("the newest error", &failures[0].error, &error);
    }
    // Neither of these is a failed attempt.
    let leased = probe.one(&events(), LONG).await;
    probe
        .applied(
            &leased.lease,
            Action::Release {
                after: Duration::ZERO,
            },
        )
        .await;
    probe.one(&events(), SHORT).await;
    probe.pass(SHORT).await;
    let failures = probe.looked(&record).await.failures;
    probe.same("the newest failure", failures[0].attempt, many);
    let leased = probe.one(&events(), LONG).await;
    probe.applied(&leased.lease, dead()).await;
    probe.pass(SHORT).await;
    let failures = probe.looked(&record).await.failures;
    probe.same("the error that ended it", &*failures[0].error, "given up");
    probe.same("failures in all", failures.len(), Record::MAX_FAILURES);
    probe.seen(failures[0].ago >= SHORT && failures[0].ago < LONG, || {
        format!(
            "it failed {SHORT:?} ago or longer, and {:?} is told",
            failures[0].ago
        )
    });

    let better = ranked("task", 1);
    let answer = probe.put(&better).await;
    probe.same("a higher rank", answer, Inserted::Upgraded);
    let looked = probe.looked(&better).await;
    probe.same("failures of newer content", looked.failures, Vec::new());
    let gone = probe.look(&events(), record.id).await;
    probe.same("the id that was replaced", gone, None);
    Outcome::Kept
}
