//! A full disk: a small file system of its own.

use std::{fs, path::Path};

use libtest_mimic::Trial;

use crate::{
    Caller,
    receiver::{Line, Mode, Place, wait_for},
    small_disk::{Test, fill, on_small_disk},
    wait_for_end,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&'static str, Test); 4] = [
        ("a_full_disk_is_503_until_there_is_room", |dir| {
            full(dir, Mode::Own);
        }),
        (
            "a_full_disk_is_503_until_there_is_room_also_on_a_pool",
            |dir| full(dir, Mode::PoolWithoutSync),
        ),
        (
            "a_full_disk_under_a_spool_is_503_until_there_is_room",
            |dir| full(dir, Mode::Spooled),
        ),
        (
            "below_the_reserve_new_events_are_503_and_old_ones_are_handled",
            below_the_reserve,
        ),
    ];
    let trial = |(name, test)| Trial::ignorable_test(name, move || on_small_disk(name, test));
    tests.map(trial).into()
}

const MIB: u64 = 1024 * 1024;

fn full(directory: &Path, mode: Mode) {
    let place = Place::at(directory);
    let mut setup = place.setup(mode);
    setup.ack_deadline_ms = 1_000;
    // What was acknowledged is still being handled when the disk is full.
    setup.handler_ms = 300;
    let receiver = place.start(&setup);
    let mut caller = Caller::new(&place);
    for task in 0..5 {
        caller.received_at_last(&format!("before-{task}"));
    }
    // More than a log leaves free when it is closed or begins anew.
    caller.padding = 1_500_000;
    let filler = place.file("filler");
    let tasks = ["while-0", "while-1", "while-2"];
    for task in tasks {
        fill(&filler);
        caller.turned_away(task);
    }
    fs::remove_file(&filler).unwrap();
    for task in tasks {
        caller.received_at_last(task);
    }
    caller.nothing_is_lost(receiver);
}

fn free(directory: &Path) -> u64 {
    let stat = rustix::fs::statvfs(directory).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Nothing is handled before the disk is nearly full: the first receiver has no worker.
fn below_the_reserve(directory: &Path) {
    let place = Place::at(directory);
    let mut setup = place.setup(Mode::Own);
    setup.reserve = 8 * MIB;
    setup.worker = false;
    let front = place.start(&setup);
    let caller = Caller::new(&place);
    let old: Vec<_> = (0..5).map(|task| format!("before-{task}")).collect();
    for task in &old {
        caller.received_at_last(task);
    }
    front.kill();
    assert_eq!(place.journal(), []);

    let filler = place.file("filler");
    let size = usize::try_from(free(directory) - 3 * MIB / 2).unwrap();
    fs::write(&filler, vec![7; size]).unwrap();
    setup.worker = true;
    let receiver = place.start(&setup);
    caller.turned_away("while");
    for task in &old {
        wait_for_end(&place, task);
        let settled = Line::Settled(task.clone(), 1);
        wait_for("it is settled", || place.journal().contains(&settled));
    }
    caller.turned_away("while");
    let left = free(directory);
    assert!(0 < left && left < setup.reserve, "{left}");

    fs::remove_file(&filler).unwrap();
    caller.received_at_last("while");
    caller.nothing_is_lost(receiver);
}
