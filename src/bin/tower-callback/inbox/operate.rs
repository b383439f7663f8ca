//! Orders.

use serde_json::{Value, json};
use tower_callback::{
    Event, MusicVideo,
    music_video::{AnyCallback, Cover, Lyrics, Midi, Music, VocalSeparation, Wav},
    store::{
        AnyInspect, Queue, QueueKind, RecordId, Retention, State, Store,
        inspect::{self, Deleted, Inspect, Listing, ReleaseErrorKind, Released, Requeued},
    },
};

use super::{EventArg, Pages, Purge, Selection, failed};
use crate::{
    output::{Output, confirm, progress},
    stop::{Result, Stop},
    text::chain,
};

/// As many records as are told in one call.
const BATCH: usize = 100;

/// Records of one queue.
type Chosen = (Queue, Vec<RecordId>);

impl Selection {
    /// The records that are meant: all of one state, or those that are named, in whatever queue they are.
    async fn chosen(
        &self,
        store: &AnyInspect,
        wanted: impl Fn(QueueKind) -> Option<Listing>,
    ) -> Result<Vec<Chosen>> {
        let mut chosen = Vec::new();
        let mut missing = self.ids.clone();
        for queue in self.filter.queues(store).await? {
            let Some(listing) = wanted(queue.kind()) else {
                continue;
            };
            let mut ids = Vec::new();
            if self.all {
                let mut pages = Pages::of(store, &queue, listing);
                while let Some(page) = pages.next().await? {
                    ids.extend(page.iter().map(|record| record.id));
                }
            } else {
                for id in std::mem::take(&mut missing) {
                    match store.look(&queue, id).await.map_err(failed)? {
                        Some(_) => ids.push(id),
                        None => missing.push(id),
                    }
                }
            }
            chosen.push((queue, ids));
        }
        match missing.first() {
            Some(id) => Err(Stop::not_so(format!("there is no record {id} here"))),
            None => Ok(chosen),
        }
    }
}

/// What became of each record, and whether all went as it was meant.
#[derive(Default)]
struct Told {
    lines: Vec<(RecordId, String)>,
    undone: usize,
}

impl Told {
    fn add(&mut self, id: RecordId, was_done: bool, what: impl Into<String>) {
        self.undone += usize::from(!was_done);
        self.lines.push((id, what.into()));
    }

    fn tell(self, done: &str, out: &mut Output) -> Result {
        let count = self.lines.len() - self.undone;
        if out.is_json() {
            let lines = self.lines.iter();
            let records: Value = lines
                .map(|(id, what)| json!({"id": id.to_string(), "outcome": what}))
                .collect();
            out.json(&json!({"records": records, "done": count, "left": self.undone}))?;
        } else {
            for (id, what) in &self.lines {
                out.line(format_args!("{id}  {what}"))?;
            }
            out.line(format_args!("{done} {count} of {}", self.lines.len()))?;
        }
        match self.undone {
            0 => Ok(()),
            _ => Err(Stop::told()),
        }
    }
}

pub(super) async fn retry(store: &AnyInspect, selection: &Selection, out: &mut Output) -> Result {
    let dead = |kind| (kind != QueueKind::Quarantine).then(|| Listing::of(State::Dead));
    let mut told = Told::default();
    let chosen = selection.chosen(store, dead).await?;
    let bar = bar(&chosen);
    for (queue, ids) in chosen {
        for ids in ids.chunks(BATCH) {
            let answers = store.requeue(&queue, ids).await.map_err(failed)?;
            for (id, answer) in ids.iter().zip(answers) {
                let what = match answer {
                    Requeued::Applied => "due again",
                    Requeued::Pending => "is pending already",
                    Requeued::Leased => "is being handled: left as it is",
                    Requeued::Gone => "is done, and its body is not kept any more",
                    Requeued::Unknown => "is gone by now",
                    Requeued::Busy => "is held by an open transaction: try again",
                    _ => "was left as it is",
                };
                told.add(*id, answer == Requeued::Applied, what);
            }
            bar.inc(ids.len() as u64);
        }
    }
    bar.finish_and_clear();
    told.tell("retried", out)
}

pub(super) async fn discard(
    store: &AnyInspect,
    selection: &Selection,
    yes: bool,
    out: &mut Output,
) -> Result {
    let of_all = |kind| match (kind, selection.filter.kind) {
        // Only who names it means it: what could not be read is no dead letter.
        (QueueKind::Quarantine, None) if selection.all => None,
        (QueueKind::Quarantine, _) => Some(Listing::all()),
        _ => Some(Listing::of(State::Dead)),
    };
    let chosen = selection.chosen(store, of_all).await?;
    let count = count(&chosen);
    if count > 0 {
        let records = if count == 1 { "record" } else { "records" };
        confirm(&format!("forget {count} {records} for good"), yes)?;
    }
    let mut told = Told::default();
    let bar = bar(&chosen);
    for (queue, ids) in chosen {
        for ids in ids.chunks(BATCH) {
            let answers = store.delete(&queue, ids).await.map_err(failed)?;
            for (id, answer) in ids.iter().zip(answers) {
                let what = match answer {
                    Deleted::Applied => "forgotten",
                    Deleted::Leased => "is being handled: left as it is",
                    Deleted::Unknown => "is gone by now",
                    Deleted::Busy => "is held by an open transaction: try again",
                    _ => "was left as it is",
                };
                told.add(*id, answer == Deleted::Applied, what);
            }
            bar.inc(ids.len() as u64);
        }
    }
    bar.finish_and_clear();
    told.tell("discarded", out)
}

pub(super) async fn release(
    store: &AnyInspect,
    selection: &Selection,
    event: EventArg,
    out: &mut Output,
) -> Result {
    let quarantine = |kind| (kind == QueueKind::Quarantine).then(Listing::all);
    let mut told = Told::default();
    let chosen = selection.chosen(store, quarantine).await?;
    let bar = bar(&chosen);
    for (queue, ids) in chosen {
        for id in ids {
            let (was_done, what) = match event {
                EventArg::MusicVideo => release_as::<MusicVideo>(store, &queue, id).await?,
                EventArg::Music => release_as::<Music>(store, &queue, id).await?,
                EventArg::Lyrics => release_as::<Lyrics>(store, &queue, id).await?,
                EventArg::Wav => release_as::<Wav>(store, &queue, id).await?,
                EventArg::VocalSeparation => {
                    release_as::<VocalSeparation>(store, &queue, id).await?
                }
                EventArg::Cover => release_as::<Cover>(store, &queue, id).await?,
                EventArg::Midi => release_as::<Midi>(store, &queue, id).await?,
                EventArg::Any => release_as::<AnyCallback>(store, &queue, id).await?,
            };
            told.add(id, was_done, what);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    told.tell("released", out)
}

async fn release_as<E: Event>(
    store: &AnyInspect,
    queue: &Queue,
    id: RecordId,
) -> Result<(bool, String)> {
    match inspect::release::<E>(store, queue, id).await {
        Ok(released) => Ok((
            true,
            match released {
                Released::Stored => "a new event",
                Released::Upgraded => "an event that replaces one of lower rank",
                Released::Repeated => "a repeat of an event that is known",
                _ => "released",
            }
            .to_owned(),
        )),
        Err(error) if error.kind() == ReleaseErrorKind::Store => {
            Err(Stop::unavailable("the store", &error))
        }
        Err(error) => Ok((false, format!("stays: {}", chain(&error)))),
    }
}

pub(super) async fn purge(store: &AnyInspect, purge: &Purge, out: &mut Output) -> Result {
    let retention = Retention::default()
        .with_bodies(purge.bodies)
        .with_keys(purge.keys)
        .with_dead(purge.dead)
        .with_quarantine(purge.quarantine);
    confirm(
        "forget for good what is older than that, of all endpoints",
        purge.yes,
    )?;
    let bar = progress(None, "forgotten");
    let mut records = 0;
    loop {
        let step = store.purge(&retention).await.map_err(failed)?;
        records += step.records;
        bar.inc(step.records);
        if !step.more {
            break;
        }
    }
    bar.finish_and_clear();
    match out.is_json() {
        true => out.json(&json!({"purged": records})),
        false => out.line(format_args!("purged {records}")),
    }
}

fn count(chosen: &[Chosen]) -> usize {
    chosen.iter().map(|(_, ids)| ids.len()).sum()
}

fn bar(chosen: &[Chosen]) -> indicatif::ProgressBar {
    progress(Some(count(chosen) as u64), "records")
}
