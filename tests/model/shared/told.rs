//! What a store tells, compared with what it must tell.

use std::time::Duration;

use tower_callback::store::{
    Counts, Found,
    inspect::{Record as Looked, Summary},
};

use super::{CALL, reference::Record};

/// For ever: stores write it in their own ways.
const LONG: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// A time as a whole number of calls: what really went by meanwhile is less than half of one.
fn calls(time: Duration) -> u64 {
    let halves = time.min(LONG).as_secs() / (CALL.as_secs() / 2);
    halves.div_ceil(2)
}

pub(super) fn assert_same_time(told: Duration, expected: Duration) {
    assert_eq!(calls(told), calls(expected), "{told:?} is not {expected:?}");
}

fn rounded(time: Option<Duration>) -> Option<Duration> {
    time.map(|time| Duration::from_secs(calls(time)))
}

fn rounded_summary(mut summary: Summary) -> Summary {
    summary.age = rounded(summary.age);
    summary.due_in = rounded(summary.due_in);
    summary.settled = rounded(summary.settled);
    summary
}

pub(super) fn assert_same_summary(told: &Summary, expected: &Summary) {
    assert_eq!(
        rounded_summary(told.clone()),
        rounded_summary(expected.clone())
    );
}

pub(super) fn assert_same_counts(mut told: Counts, mut expected: Counts) {
    told.oldest_due = rounded(told.oldest_due);
    expected.oldest_due = rounded(expected.oldest_due);
    assert_eq!(told, expected);
}

pub(super) fn assert_same_look(told: Option<Looked>, expected: Option<Looked>) {
    let rounded = |looked: Option<Looked>| {
        let mut looked = looked?;
        looked.summary = rounded_summary(looked.summary);
        for failure in &mut looked.failures {
            failure.ago = Duration::from_secs(calls(failure.ago));
        }
        Some(looked)
    };
    assert_eq!(rounded(told), rounded(expected));
}

pub(super) fn assert_found(told: Option<Found>, expected: Option<(&Record, Summary)>) {
    let (Some(told), Some((record, summary))) = (&told, &expected) else {
        assert!(told.is_none(), "found, and unknown: {told:?}");
        assert!(expected.is_none(), "known, and not found");
        return;
    };
    assert_eq!(
        (told.id, told.rank, told.state),
        (summary.id, summary.rank, summary.state)
    );
    assert!(
        record.settled_by().contains(&told.settled_by),
        "{:?} is none of {:?}",
        told.settled_by,
        record.settled_by()
    );
    assert_eq!(told.body.as_deref(), record.payload().map(|(body, _)| body));
    assert_eq!(told.meta.as_deref(), record.payload().map(|(_, meta)| meta));
    assert_eq!(told.error.as_deref(), record.error());
}
