//! What of deliveries is counted. Looks at tracked tasks are none, but one of those can be a dead letter, too.

use std::time::Duration;

use super::jobs::About;
use crate::{
    count,
    store::{Action, Queue, QueueKind},
};

/// A handler has run.
pub(super) fn handler(queue: &Queue, result: &'static str, took: Duration) {
    if queue.kind() == QueueKind::Events {
        count::handler(queue.name(), result, took);
    }
}

/// A delivery ends, and this is to become of its record.
pub(super) fn settled(queue: &Queue, about: &About, action: &Action) {
    let result = match action {
        Action::Done => "handled",
        Action::RetryIn { .. } => "retried",
        Action::Dead { .. } => "dead",
        Action::Release { .. } => "released",
        _ => return,
    };
    ended(queue, about, result);
}

/// A delivery ended without a settlement of ours.
pub(super) fn ended(queue: &Queue, about: &About, result: &'static str) {
    let (endpoint, kind) = (queue.name(), queue.kind());
    if result == "dead" {
        count::dead(endpoint, kind.as_str());
    }
    if kind != QueueKind::Events {
        return;
    }
    count::delivery(endpoint, about.source.as_str(), result);
    if result == "retried" {
        count::retry(endpoint);
    }
}
