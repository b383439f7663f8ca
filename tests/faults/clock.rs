//! A wall clock that is set while a receiver runs.

use std::{thread, time::Duration};

use libtest_mimic::{Completion, Failed, Trial};

use crate::{
    Caller, cannot_run, faketime,
    receiver::{Line, Mode, Place, wait_for},
};

const DAY: i64 = 24 * 60 * 60;

pub(crate) fn trials() -> Vec<Trial> {
    let tests = [
        (
            "a_clock_that_jumps_loses_nothing_and_delays_nothing",
            Mode::Own,
        ),
        ("a_clock_that_jumps_means_nothing_on_memory", Mode::Memory),
        (
            "a_clock_that_jumps_under_a_spool_loses_nothing_and_delays_nothing",
            Mode::Spooled,
        ),
    ];
    let trial = |(name, mode)| Trial::ignorable_test(name, move || test(mode));
    tests.map(trial).into()
}

fn test(mode: Mode) -> Result<Completion, Failed> {
    match faketime::missing() {
        Some(reason) => return cannot_run(reason),
        None => jumps(mode),
    }
    Ok(Completion::Completed)
}

/// Attempts fail and are made again, before the clock is set and after. Nothing takes hours.
fn jumps(mode: Mode) {
    let place = Place::new();
    let mut setup = place.setup(mode);
    setup.handler_ms = 20;
    setup.failing = 50;
    let wall = faketime::WallClock::right();
    let receiver = place.start_under(&wall.wrapper(), &setup);
    receiver.serving();
    let caller = Caller::new(&place);
    let mut tasks = Vec::new();
    for (round, days) in [0, -1, 1, -2, 0].into_iter().enumerate() {
        wall.is_off_by(days * DAY);
        for task in 0..10 {
            let task = format!("round-{round}-{task}");
            caller.received_at_last(&task);
            tasks.push(task);
        }
        thread::sleep(Duration::from_millis(200));
    }
    place.end_outage();
    for task in tasks {
        let settled = Line::Settled(task, 1);
        wait_for("it is settled", || place.journal().contains(&settled));
    }
    let journal = place.journal();
    let settled = journal
        .iter()
        .filter(|line| matches!(line, Line::Settled(..)));
    assert_eq!(settled.count(), 50, "each once");
    if mode != Mode::Memory {
        caller.nothing_is_lost(receiver);
    }
}
