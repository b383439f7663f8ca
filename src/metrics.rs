//! What is counted (feature `metrics`), through the [`metrics`](https://docs.rs/metrics) facade: the
//! recorder is yours.
//!
//! | family | kind | labels | what it tells |
//! | --- | --- | --- | --- |
//! | `tower_callback_received_total` | counter | `endpoint`, `outcome` | requests, by what became of them: the words of [`Disposition::as_str`](crate::Disposition::as_str) |
//! | `tower_callback_ack_seconds` | histogram | `endpoint`, `outcome` | from a request's head to its answer |
//! | `tower_callback_refused_total` | counter | `endpoint`, `kind`, `part` | callers who did not prove themselves |
//! | `tower_callback_secret_used_total` | counter | `endpoint`, `label`, `retiring` | which secrets proved callers |
//! | `tower_callback_events_total` | counter | `endpoint`, `source` | new and better events, by `callback` or `poll` |
//! | `tower_callback_quarantined_total` | counter | `endpoint`, `outcome` | callbacks that nobody could read, and that were kept |
//! | `tower_callback_commit_records` | histogram | `endpoint`, `outcome` | records of one call of the store, which was `written` or `failed` |
//! | `tower_callback_commit_seconds` | histogram | `endpoint`, `outcome` | how long it took |
//! | `tower_callback_deliveries_total` | counter | `endpoint`, `source`, `result` | deliveries: `handled`, `retried`, `dead`, `released`, or `lost` to another worker |
//! | `tower_callback_handler_seconds` | histogram | `endpoint`, `result` | how long a handler ran until it was `handled`, `failed`, `panicked` or `timed_out` |
//! | `tower_callback_retries_total` | counter | `endpoint` | failed attempts that are repeated |
//! | `tower_callback_dead_total` | counter | `endpoint`, `queue` | records that were given up: `events`, or `tracked` tasks |
//! | `tower_callback_inbox_records` | gauge | `endpoint`, `queue`, `state` | records in the store: `pending`, `leased`, `done`, `dead` |
//! | `tower_callback_oldest_pending_seconds` | gauge | `endpoint`, `queue` | for how long the oldest pending record has been due; 0 where none is |
//! | `tower_callback_oldest_unhandled_seconds` | gauge | `endpoint`, `rank` | age of the oldest event that is pending or dead, of rank `0` (a failure) or `1+` (a success) |
//! | `tower_callback_ready` | gauge | `endpoint` | 1 if it was ready when it was looked at |
//! | `tower_callback_downloads_total` | counter | `outcome` | downloads: `fetched`, `already_there`, or the word of the [error's kind](crate::download::DownloadErrorKind::as_str) |
//! | `tower_callback_download_seconds` | histogram | `outcome` | how long they took |
//! | `tower_callback_download_bytes_total` | counter | none | bytes of videos that came |
//! | `tower_callback_disk_free_bytes` | gauge | `of` | free space, by the last look of a `sqlite` store or of a downloader of `videos` |
//! | `tower_callback_disk_reserve_bytes` | gauge | `of` | how much of that must stay free |
//!
//! The gauges of the inbox are set by a [`Health`](crate::health::Health), since not every store can count. All
//! processes that share a store tell the same of it: take the `max` by `endpoint`, not the sum.
//!
//! Labels are few and their values bounded: endpoints and secrets' labels, which you name, and our own
//! words. No id, key, URL or secret is among them. Durations are on the clock of the endpoint.
//!
//! Descriptions and units are told when an endpoint, a downloader or a health is built. Install the recorder
//! before that, or [`describe`] to it later.

use metrics::Unit;

/// One family of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How it changes.
    pub kind: FamilyKind,
    /// `seconds`, `bytes`, or nothing for a count.
    pub unit: &'static str,
    /// What it tells.
    pub about: &'static str,
}

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It is what it is at a moment.
    Gauge,
    /// It has a distribution.
    Histogram,
}

macro_rules! families {
    ($($kind:ident $name:literal $unit:literal $about:literal)*) => {
        /// Every family there is. The table in the [module](self) says more of each.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: concat!("tower_callback_", $name),
            kind: FamilyKind::$kind,
            unit: $unit,
            about: $about,
        }),*];
    };
}

families! {
    Counter "received_total" "" "Requests, by what became of them."
    Histogram "ack_seconds" "seconds" "From a request's head to its answer."
    Counter "refused_total" "" "Callers who did not prove themselves."
    Counter "secret_used_total" "" "Which secrets proved callers, by label."
    Counter "events_total" "" "New and better events, by source."
    Counter "quarantined_total" "" "Callbacks that nobody could read, and that were kept."
    Histogram "commit_records" "" "Records of one call of the store."
    Histogram "commit_seconds" "seconds" "How long one call of the store took."
    Counter "deliveries_total" "" "Deliveries, by result."
    Histogram "handler_seconds" "seconds" "How long a handler ran."
    Counter "retries_total" "" "Failed attempts that are repeated."
    Counter "dead_total" "" "Records that were given up."
    Gauge "inbox_records" "" "Records in the store, by state."
    Gauge "oldest_pending_seconds" "seconds" "For how long the oldest pending record has been due."
    Gauge "oldest_unhandled_seconds" "seconds" "Age of the oldest event that is pending or dead."
    Gauge "ready" "" "Whether an endpoint is ready."
    Counter "downloads_total" "" "Downloads, by outcome."
    Histogram "download_seconds" "seconds" "How long downloads took."
    Counter "download_bytes_total" "bytes" "Bytes of videos that came."
    Gauge "disk_free_bytes" "bytes" "Free space on a disk."
    Gauge "disk_reserve_bytes" "bytes" "How much of a disk must stay free."
}

/// Tells the recorder what each family is, and in which unit.
///
/// It is told whenever an endpoint, a downloader or a health is built: call this if the recorder is
/// installed after that.
pub fn describe() {
    for family in FAMILIES {
        let unit = match family.unit {
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            _ => Unit::Count,
        };
        match family.kind {
            FamilyKind::Counter => metrics::describe_counter!(family.name, unit, family.about),
            FamilyKind::Gauge => metrics::describe_gauge!(family.name, unit, family.about),
            FamilyKind::Histogram => metrics::describe_histogram!(family.name, unit, family.about),
        }
    }
}
