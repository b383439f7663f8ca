//! Killing a process shows nothing of the disk, since the kernel keeps what was written. So the
//! calls themselves are watched: no 200 before the sync of what it promises.

use std::{fs, path::Path, thread};

use libtest_mimic::{Completion, Failed, Trial};
use tower_callback::{MusicVideo, store::Store};

use crate::{
    receiver::{Mode, Place, Setup, cannot_run, events, open, post, strace, wait_for},
    trace::{Call, Verdict, judge, parse},
};

const TASKS: usize = 40;
/// Who sends at the same time.
const SENDERS: usize = 4;

pub(crate) fn trials() -> Vec<Trial> {
    let modes = [
        ("no_200_before_the_log_is_synced", Mode::Own, true),
        (
            "no_200_before_the_log_is_synced_on_a_pool_that_switches_syncs_off",
            Mode::PoolWithoutSync,
            true,
        ),
        (
            "a_store_with_synchronous_off_is_caught",
            Mode::Careless,
            false,
        ),
        (
            "a_store_that_answers_while_it_commits_is_caught",
            Mode::Early,
            false,
        ),
    ];
    let mut trials: Vec<_> = modes
        .into_iter()
        .map(|(name, mode, holds)| {
            Trial::ignorable_test(name, move || traced(|| watch(mode, holds)))
        })
        .collect();
    for (name, mode) in [
        (
            "what_a_killed_process_left_unsynced_is_synced_before_it_is_a_duplicate",
            Mode::Own,
        ),
        (
            "what_a_killed_process_left_unsynced_is_synced_on_a_pool_too",
            Mode::PoolWithoutSync,
        ),
    ] {
        trials.push(Trial::ignorable_test(name, move || traced(|| repeat(mode))));
    }
    trials
}

fn traced(test: impl FnOnce() -> Result<(), Failed>) -> Result<Completion, Failed> {
    if let Some(reason) = strace::missing() {
        return cannot_run(reason);
    }
    test()?;
    Ok(Completion::Completed)
}

fn body(task: &str) -> Vec<u8> {
    let video = format!("https://example.com/{task}.mp4");
    MusicVideo::succeeded(task, video).encode().to_vec()
}

fn calls(trace: &Path) -> Vec<Call> {
    parse(&String::from_utf8_lossy(&fs::read(trace).unwrap()))
}

fn front(place: &Place, mode: Mode) -> Setup {
    let mut setup = place.setup(mode);
    setup.worker = false;
    setup
}

/// Sends callbacks and looks at the order of writes, syncs and answers.
fn watch(mode: Mode, holds: bool) -> Result<(), Failed> {
    let place = Place::new();
    let trace = place.note("trace");
    let receiver = place.start_under(&strace::tracing(&trace), &front(&place, mode));
    receiver.serving();
    let tasks: Vec<_> = (0..TASKS).map(|task| format!("task-{task:04}")).collect();
    thread::scope(|scope| {
        for part in tasks.chunks(TASKS / SENDERS) {
            let place = &place;
            scope.spawn(move || {
                for task in part {
                    assert_eq!(place.post(&body(task)).status, 200);
                }
            });
        }
    });
    receiver.kill();

    let calls = calls(&trace);
    let Verdict {
        right,
        early,
        unknown,
    } = judge(&calls, &tasks);
    println!(
        "{mode:?}: {} right, {} early, {unknown} unknown, {} syncs of the log",
        right.len(),
        early.len(),
        calls.iter().filter(|call| call.is_log_sync()).count()
    );
    if unknown > 0 || right.len() + early.len() != TASKS {
        return Err("the trace does not show every answer".into());
    }
    if holds != early.is_empty() {
        return Err(format!("acknowledged before they were synced: {early:?}").into());
    }
    Ok(())
}

/// A process is killed between the write of a record and its sync. The next one finds the record in
/// the log, and must not call it a duplicate before it is on disk.
fn repeat(mode: Mode) -> Result<(), Failed> {
    let task = "task-0001".to_owned();
    let place = killed_before_the_sync(mode, &task)?;
    let trace = place.note("trace-after");
    let receiver = place.start_under(&strace::tracing(&trace), &front(&place, mode));
    receiver.serving();
    assert_eq!(place.post(&body(&task)).status, 200);
    receiver.kill();

    let calls = calls(&trace);
    let ack = calls.iter().find(|call| call.is_acknowledgement());
    let ack = ack.ok_or("the trace does not show the answer")?;
    if calls
        .iter()
        .any(|call| call.is_log_write() && call.speaks_of(&task))
    {
        // Then it would have been synced by the common rule.
        return Err("the record was written anew: it was no duplicate".into());
    }
    if !calls
        .iter()
        .any(|call| call.is_log_sync() && call.is_before(ack))
    {
        return Err("a duplicate was acknowledged, and nobody has synced its record".into());
    }
    Ok(())
}

/// Whether somebody who opened the files as they are would find the record.
fn is_readable(place: &Place, task: &str) -> bool {
    let copy = tempfile::tempdir().unwrap();
    place.copy(copy.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(&copy.path().join("callbacks.db")).await;
        let found = store.find(&events(), task.as_bytes()).await.unwrap();
        found.is_some()
    })
}

/// Lets every sync wait, and kills a receiver between the write of the record and its sync.
fn killed_before_the_sync(mode: Mode, task: &str) -> Result<Place, Failed> {
    let place = Place::new();
    let setup = front(&place, mode);
    let first = place.start(&setup);
    first.serving();
    first.kill();

    let trace = place.note("trace");
    let fault = "fsync,fdatasync:delay_enter=1000000";
    let receiver = place.start_under(&strace::injecting(&trace, fault), &setup);
    receiver.serving();
    let is_written = |call: &Call| call.is_log_write() && call.speaks_of(task);
    let answer = thread::scope(|scope| {
        let sender = scope.spawn(|| post(place.address(), &body(task)));
        wait_for("the record is in the log", || is_readable(&place, task));
        receiver.kill();
        sender.join().unwrap()
    });
    if let Ok(reply) = answer {
        return Err(format!("{reply:?} before the sync").into());
    }
    let calls = calls(&trace);
    let written = calls.iter().find(|call| is_written(call)).unwrap();
    let mut syncs = calls.iter().filter(|call| call.is_log_sync());
    if syncs.any(|sync| written.is_before(sync)) {
        return Err("the kill came after the sync".into());
    }
    Ok(place)
}
