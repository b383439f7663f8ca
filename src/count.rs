//! What is counted, with the feature `metrics`; without it, nothing is. One function for each
//! [family](crate::metrics::FAMILIES), or for those that change together.
//!
//! Labels are names that we or the user chose: never a secret, a key or anything else that a caller
//! sends.

#![cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, reason = "nothing is counted")
)]
#![allow(
    dead_code,
    reason = "some of what is counted is behind features of its own"
)]

use std::{sync::Arc, time::Duration};

/// Expands to nothing without the feature.
macro_rules! count {
    (counter $name:literal by $by:expr; $($label:literal: $value:expr),* $(,)?) => {
        #[cfg(feature = "metrics")]
        metrics::counter!(concat!("tower_callback_", $name), $($label => $value),*).increment($by);
    };
    (gauge $name:literal to $to:expr; $($label:literal: $value:expr),* $(,)?) => {
        #[cfg(feature = "metrics")]
        metrics::gauge!(concat!("tower_callback_", $name), $($label => $value),*).set($to);
    };
    (histogram $name:literal of $of:expr; $($label:literal: $value:expr),* $(,)?) => {
        #[cfg(feature = "metrics")]
        metrics::histogram!(concat!("tower_callback_", $name), $($label => $value),*).record($of);
    };
}

/// Whether anything is counted.
pub(crate) const IS_ON: bool = cfg!(feature = "metrics");

/// Tells the recorder what each family is.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    crate::metrics::describe();
}

/// A request was answered. Nobody looks at the clock where nothing is counted.
pub(crate) fn received(
    endpoint: &Arc<str>,
    outcome: &'static str,
    took: impl FnOnce() -> Duration,
) {
    count!(counter "received_total" by 1; "endpoint": Arc::clone(endpoint), "outcome": outcome);
    count!(histogram "ack_seconds" of took(); "endpoint": Arc::clone(endpoint), "outcome": outcome);
}

/// A caller did not prove himself.
pub(crate) fn refused(endpoint: &Arc<str>, kind: &'static str, part: &'static str) {
    count!(
        counter "refused_total" by 1;
        "endpoint": Arc::clone(endpoint), "kind": kind, "part": part
    );
}

/// A secret proved a caller.
pub(crate) fn secret_used(endpoint: &Arc<str>, label: &str, retiring: bool) {
    count!(
        counter "secret_used_total" by 1;
        "endpoint": Arc::clone(endpoint),
        "label": label.to_owned(),
        "retiring": if retiring { "true" } else { "false" },
    );
}

/// An event is new, or better than the one that was there.
pub(crate) fn event(endpoint: &Arc<str>, source: &'static str) {
    count!(counter "events_total" by 1; "endpoint": Arc::clone(endpoint), "source": source);
}

/// What nobody could read was put into quarantine.
pub(crate) fn quarantined(endpoint: &Arc<str>, outcome: &'static str) {
    count!(
        counter "quarantined_total" by 1;
        "endpoint": Arc::clone(endpoint), "outcome": outcome
    );
}

/// A store was given a batch.
pub(crate) fn commit(
    endpoint: &Arc<str>,
    records: usize,
    outcome: &'static str,
    took: impl FnOnce() -> Duration,
) {
    count!(
        histogram "commit_records" of u32::try_from(records).unwrap_or(u32::MAX);
        "endpoint": Arc::clone(endpoint), "outcome": outcome
    );
    count!(
        histogram "commit_seconds" of took();
        "endpoint": Arc::clone(endpoint), "outcome": outcome
    );
}

/// A handler was called.
pub(crate) fn handler(endpoint: &Arc<str>, result: &'static str, took: Duration) {
    count!(
        histogram "handler_seconds" of took;
        "endpoint": Arc::clone(endpoint), "result": result
    );
}

/// A delivery came to its end.
pub(crate) fn delivery(endpoint: &Arc<str>, source: &'static str, result: &'static str) {
    count!(
        counter "deliveries_total" by 1;
        "endpoint": Arc::clone(endpoint), "source": source, "result": result
    );
}

/// A failed attempt will be repeated.
pub(crate) fn retry(endpoint: &Arc<str>) {
    count!(counter "retries_total" by 1; "endpoint": Arc::clone(endpoint));
}

/// A record was given up.
pub(crate) fn dead(endpoint: &Arc<str>, queue: &'static str) {
    count!(counter "dead_total" by 1; "endpoint": Arc::clone(endpoint), "queue": queue);
}

/// A download came to its end.
pub(crate) fn download(outcome: &'static str, took: Duration) {
    count!(counter "downloads_total" by 1; "outcome": outcome);
    count!(histogram "download_seconds" of took; "outcome": outcome);
}

/// Some of a video came.
pub(crate) fn downloaded(bytes: usize) {
    count!(counter "download_bytes_total" by bytes as u64;);
}

/// How much of a disk is free, and how much of it is to stay so.
#[allow(
    clippy::cast_precision_loss,
    reason = "a disk is told to the nearest kilobyte"
)]
pub(crate) fn disk(of: &'static str, free: u64, reserve: u64) {
    count!(gauge "disk_free_bytes" to free as f64; "of": of);
    count!(gauge "disk_reserve_bytes" to reserve as f64; "of": of);
}

/// How many records a queue has in a state.
#[allow(
    clippy::cast_precision_loss,
    reason = "nobody counts so many to the last one"
)]
pub(crate) fn inbox(endpoint: &Arc<str>, queue: &'static str, state: &'static str, records: u64) {
    count!(
        gauge "inbox_records" to records as f64;
        "endpoint": Arc::clone(endpoint), "queue": queue, "state": state
    );
}

/// For how long a queue's oldest pending record has been due.
pub(crate) fn oldest_pending(endpoint: &Arc<str>, queue: &'static str, due: Duration) {
    count!(
        gauge "oldest_pending_seconds" to due.as_secs_f64();
        "endpoint": Arc::clone(endpoint), "queue": queue
    );
}

/// How old the oldest event is that was not handled.
pub(crate) fn oldest_unhandled(endpoint: &Arc<str>, rank: &'static str, age: Duration) {
    count!(
        gauge "oldest_unhandled_seconds" to age.as_secs_f64();
        "endpoint": Arc::clone(endpoint), "rank": rank
    );
}

/// Whether an endpoint was ready when it was looked at.
pub(crate) fn ready(endpoint: &Arc<str>, is_ready: bool) {
    count!(gauge "ready" to f64::from(u8::from(is_ready)); "endpoint": Arc::clone(endpoint));
}
