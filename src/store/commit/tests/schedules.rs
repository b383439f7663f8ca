//! Any schedule: callers that come and leave at any time, a store that does anything, a runtime that
//! shuts down with the task that writes.
//!
//! Two runtimes on one thread are let run by turns, each for a random number of steps, and time is
//! turned by hand. So a seed is a schedule, and comes again. (Loom and shuttle see only their own
//! locks and channels, and the group commit is made of Tokio's.)
//!
//! `SEEDS=…` tries more.

use std::{cell::RefCell, collections::HashMap, panic};

use fastrand::Rng;
use tokio::{runtime, task::yield_now};

use super::*;
use crate::{store::RecordId, testing::dropped::seeds};

/// One caller, as the test sees it.
struct Caller {
    task: JoinHandle<Answer>,
    id: RecordId,
    poisoned: bool,
    /// On the runtime that shuts down.
    elsewhere: bool,
}

#[test]
fn under_any_schedule_what_is_acknowledged_is_kept_and_nobody_waits_for_ever() {
    for seed in 0..seeds(400) {
        let ran = panic::catch_unwind(|| play(seed));
        assert!(ran.is_ok(), "seed {seed}");
    }
}

/// A body that the store never takes.
fn is_poisoned(record: &NewRecord) -> bool {
    record.body.len() == 13
}

fn scripted(rng: &mut Rng) -> Script {
    let dice = std::sync::Mutex::new(rng.fork());
    let at_once = rng.usize(1..4);
    let healthy = rng.bool();
    let plan = move |_, records: &[NewRecord]| {
        let mut dice = dice.lock().unwrap();
        if records.iter().any(is_poisoned) {
            return Do::Reject;
        }
        match dice.u8(0..if healthy { 8 } else { 13 }) {
            0..4 => Do::Answer,
            4..8 => Do::AnswerAfter(dice.usize(0..12)),
            8 => Do::Fail,
            9 => Do::WriteAndFail,
            10 => Do::Panic,
            11 => Do::Hang,
            _ => Do::AnswerFor(records.len() + 1),
        }
    };
    Script::planned(plan).commits_at_once(at_once)
}

fn play(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let limits = Limits {
        batch_records: rng.usize(1..6),
        queue_records: rng.usize(4..64),
        ..Limits::default()
    };
    let bench = Bench::with_limits(scripted(&mut rng), limits);
    let new = || runtime::Builder::new_current_thread().enable_all().build();
    let here = new().unwrap();
    let mut elsewhere = Some(new().unwrap());
    let callers = RefCell::new(Vec::<Caller>::new());
    // Taken out before their batch began.
    let mut gone = Vec::new();

    let come = |runtime: &runtime::Runtime, elsewhere, rng: &mut Rng| {
        let poisoned = rng.u8(0..8) == 0;
        let record = record(rng.u64(..), if poisoned { 13 } else { rng.usize(0..8) });
        let (id, poisoned) = (record.id, is_poisoned(&record));
        let committer = bench.committer.clone();
        let patience = PATIENCE * rng.u32(1..8) / 4;
        callers.borrow_mut().push(Caller {
            task: runtime.spawn(async move { committer.insert(record, || patience).await }),
            id,
            poisoned,
            elsewhere,
        });
    };
    let steps = |runtime: &runtime::Runtime, count: usize| {
        runtime.block_on(async {
            for _ in 0..count {
                yield_now().await;
            }
        });
    };

    for _ in 0..rng.usize(10..120) {
        match rng.u8(0..12) {
            0..3 => come(&here, false, &mut rng),
            3..5 => match &elsewhere {
                Some(elsewhere) => come(elsewhere, true, &mut rng),
                None => come(&here, false, &mut rng),
            },
            5..7 => steps(&here, rng.usize(1..8)),
            7..9 => {
                if let Some(elsewhere) = &elsewhere {
                    steps(elsewhere, rng.usize(1..8));
                }
            }
            9 => bench.hands.advance(Duration::from_millis(rng.u64(0..400))),
            10 => {
                let mut callers = callers.borrow_mut();
                let here_too = callers.iter_mut().filter(|caller| !caller.elsewhere);
                if let Some(caller) = rng.choice(here_too.collect::<Vec<_>>()) {
                    caller.task.abort();
                    here.block_on(async {
                        while !caller.task.is_finished() {
                            yield_now().await;
                        }
                    });
                    if !bench.store.calls().concat().contains(&caller.id) {
                        gone.push(caller.id);
                    }
                }
            }
            _ if rng.u8(0..8) == 0 => drop(elsewhere.take()),
            _ => {}
        }
    }
    // Both go on, or one alone; and time does.
    if rng.bool() {
        drop(elsewhere.take());
    }
    for _ in 0..4000 {
        if callers
            .borrow()
            .iter()
            .all(|caller| caller.task.is_finished())
        {
            break;
        }
        steps(&here, 20);
        if let Some(elsewhere) = &elsewhere {
            steps(elsewhere, 20);
        }
        bench.hands.advance(Duration::from_millis(50));
    }

    let mut answers = HashMap::new();
    for caller in callers.into_inner() {
        assert!(caller.task.is_finished(), "somebody waits for ever");
        match here.block_on(caller.task) {
            Ok(Ok(answer)) => {
                assert_eq!(answer, Inserted::Fresh);
                assert!(bench.store.has(caller.id), "acknowledged and not kept");
                assert!(!caller.poisoned, "the store took what it rejects");
            }
            Ok(Err(_)) => {}
            Err(error) => assert!(error.is_cancelled(), "an insert panicked"),
        }
        *answers.entry(caller.id).or_insert(0) += 1;
    }
    let calls = bench.store.calls().concat();
    for id in gone {
        assert!(
            !calls.contains(&id) && !bench.store.has(id),
            "left, and written"
        );
    }
    assert!(bench.store.stored() <= answers.len());
    // A store that is broken breaks this too: what counts is that every seat is free.
    drop(elsewhere);
    here.block_on(until(|| {
        bench.hands.advance(Duration::from_millis(50));
        let queue = bench.committer.0.queue();
        queue.is_empty() && queue.seats_taken == 0
    }));
    assert_eq!(bench.store.under_way(), 0);
}
