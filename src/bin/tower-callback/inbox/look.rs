//! Questions.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json, value::RawValue};
use tower_callback::store::{
    AnyInspect, Queue, QueueKind, RecordId,
    inspect::{Cursor, Inspect, Listing, Record, Summary},
};

use super::{Filter, failed};
use crate::{
    output::Output,
    stop::{Result, Stop},
    text::{about, millis, plain, plain_bytes},
};

pub(super) async fn stats(store: &AnyInspect, filter: &Filter, out: &mut Output) -> Result {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for queue in filter.queues(store).await? {
        let counts = store.counts(&queue).await.map_err(failed)?;
        let oldest = counts.oldest_due;
        rows.push(vec![
            plain(queue.endpoint()),
            queue.kind().as_str().to_owned(),
            counts.pending.to_string(),
            counts.leased.to_string(),
            counts.done.to_string(),
            counts.dead.to_string(),
            oldest.map(about).unwrap_or_default(),
        ]);
        values.push(json!({
            "endpoint": queue.endpoint(),
            "kind": queue.kind().as_str(),
            "pending": counts.pending,
            "leased": counts.leased,
            "done": counts.done,
            "dead": counts.dead,
            "oldest_due_ms": oldest.map(millis),
        }));
    }
    if out.is_json() {
        return out.json(&values.into());
    }
    if rows.is_empty() {
        return out.line("The store is empty.");
    }
    let heads = [
        "ENDPOINT",
        "KIND",
        "PENDING#",
        "LEASED#",
        "DONE#",
        "DEAD#",
        "OLDEST DUE#",
    ];
    out.table(&heads, &rows)
}

pub(super) async fn list(
    store: &AnyInspect,
    filter: &Filter,
    listing: Listing,
    after: Option<Cursor>,
    out: &mut Output,
) -> Result {
    let queues = filter.queues(store).await?;
    if after.is_some() && queues.len() != 1 {
        return Err(Stop::usage(
            "--after is for one queue: say --endpoint and --kind",
        ));
    }
    let limit = listing.limit();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    let mut more = Vec::new();
    for queue in &queues {
        let mut next = match &after {
            Some(cursor) => listing.clone().after(cursor.clone()),
            None => listing.clone(),
        };
        loop {
            if rows.len() >= limit {
                let what = format!(
                    "--endpoint {} --kind {}",
                    queue.endpoint(),
                    queue.kind().as_str()
                );
                more.push(match &next.after {
                    Some(cursor) => format!("{what} --after {cursor}"),
                    None => what,
                });
                break;
            }
            let wanted = next.clone().with_limit(limit - rows.len());
            let page = store.list(queue, &wanted).await.map_err(failed)?;
            for record in &page.records {
                rows.push(row(queue, record));
                values.push(summary(queue, record));
            }
            match page.next {
                Some(cursor) => next = next.after(cursor),
                None => break,
            }
        }
    }
    if out.is_json() {
        return out.json(&json!({"records": values, "more": more}));
    }
    if rows.is_empty() {
        return out.line("There is no such record.");
    }
    let heads = [
        "ID",
        "ENDPOINT",
        "KIND",
        "STATE",
        "ATTEMPTS#",
        "WHEN",
        "KEY",
        "ERROR",
    ];
    out.table(&heads, &rows)?;
    more.iter()
        .try_for_each(|more| out.line(format_args!("more: {}", plain(more))))
}

/// The word for a state; what is in quarantine has no other.
fn state(queue: &Queue, record: &Summary) -> &'static str {
    match queue.kind() {
        QueueKind::Quarantine => "unread",
        _ => record.state.as_str(),
    }
}

fn row(queue: &Queue, record: &Summary) -> Vec<String> {
    let ago = |time: Option<Duration>| time.map(|time| format!("{} ago", about(time)));
    let when = match record.due_in {
        Some(due) if due.is_zero() => Some("due".to_owned()),
        Some(due) => Some(format!("in {}", about(due))),
        None => ago(record.settled.or(record.age)),
    };
    vec![
        record.id.to_string(),
        plain(queue.endpoint()),
        queue.kind().as_str().to_owned(),
        state(queue, record).to_owned(),
        record.attempts.to_string(),
        when.unwrap_or_default(),
        key(queue, record).unwrap_or_default(),
        record.error.as_deref().map(plain).unwrap_or_default(),
    ]
}

/// That of quarantine is a digest, which tells nobody anything.
fn key(queue: &Queue, record: &Summary) -> Option<String> {
    let key = record.key.as_ref()?;
    match queue.kind() {
        QueueKind::Quarantine => None,
        _ => Some(plain_bytes(key)),
    }
}

fn summary(queue: &Queue, record: &Summary) -> Value {
    json!({
        "id": record.id.to_string(),
        "endpoint": queue.endpoint(),
        "kind": queue.kind().as_str(),
        "state": state(queue, record),
        "key": key(queue, record),
        "rank": record.rank,
        "attempts": record.attempts,
        "expiries": record.expiries,
        "age_ms": record.age.map(millis),
        "due_in_ms": record.due_in.map(millis),
        "settled_ms_ago": record.settled.map(millis),
        "error": record.error,
    })
}

/// All of a record. A body that is no text is base64.
pub(super) fn whole(queue: &Queue, record: &Record) -> Value {
    let mut value = summary(queue, &record.summary);
    let failures = record.failures.iter().map(|failed| {
        json!({"attempt": failed.attempt, "ms_ago": millis(failed.ago), "error": failed.error})
    });
    value["failures"] = failures.collect();
    let meta = record
        .meta
        .as_ref()
        .and_then(|meta| serde_json::from_slice(meta).ok());
    value["meta"] = meta.unwrap_or_default();
    match record
        .body
        .as_ref()
        .map(|body| (body, str::from_utf8(body)))
    {
        None => value["body"] = Value::Null,
        Some((_, Ok(text))) => value["body"] = text.into(),
        Some((bytes, Err(_))) => value["body_base64"] = BASE64_STANDARD.encode(bytes).into(),
    }
    value
}

pub(super) async fn show(
    store: &AnyInspect,
    filter: &Filter,
    id: RecordId,
    out: &mut Output,
) -> Result {
    for queue in filter.queues(store).await? {
        if let Some(record) = store.look(&queue, id).await.map_err(failed)? {
            return match out.is_json() {
                true => out.json(&whole(&queue, &record)),
                false => tell(&queue, &record, out),
            };
        }
    }
    Err(Stop::not_so(format!("there is no record {id}")))
}

fn tell(queue: &Queue, record: &Record, out: &mut Output) -> Result {
    let heads = [
        "id", "endpoint", "kind", "state", "attempts", "when", "key", "error",
    ];
    for (head, cell) in heads.into_iter().zip(row(queue, &record.summary)) {
        if !cell.is_empty() {
            out.line(format_args!("{head:<10}{cell}"))?;
        }
    }
    if let Some(meta) = &record.meta {
        out.line(format_args!("{:<10}{}", "meta", plain_bytes(meta)))?;
    }
    for failed in &record.failures {
        let (ago, error) = (about(failed.ago), plain(&failed.error));
        out.line(format_args!(
            "failed    attempt {}, {ago} ago: {error}",
            failed.attempt
        ))?;
    }
    match &record.body {
        Some(body) => out.line(format_args!("{:<10}{}", "body", plain_bytes(body))),
        None => out.line("body      (not kept)"),
    }
}

/// A body as one line of JSON, if it is JSON.
pub(super) fn line_of(body: &[u8]) -> Option<String> {
    let json: &RawValue = serde_json::from_slice(body).ok()?;
    // A line feed in JSON stands between its words alone.
    Some(json.get().replace(['\r', '\n'], " "))
}
