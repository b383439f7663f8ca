//! Syncs and writes that fail, as a broken disk lets them fail.

use libtest_mimic::{Completion, Failed, Trial};

use crate::{
    Caller,
    receiver::{Mode, Place, cannot_run, strace},
};

pub(crate) fn trials() -> Vec<Trial> {
    let faults = [
        (
            "a_sync_that_fails_is_503_and_the_next_one_counts",
            Mode::Own,
            "fsync,fdatasync:error=EIO:when=12",
        ),
        (
            "a_sync_that_fails_under_a_pool_is_503_and_the_next_one_counts",
            Mode::PoolWithoutSync,
            "fsync,fdatasync:error=EIO:when=12",
        ),
        (
            "a_write_that_fails_is_503_and_the_next_one_counts",
            Mode::Own,
            "pwrite64:error=EIO:when=60",
        ),
        (
            "a_write_without_room_is_503_and_the_next_one_counts",
            Mode::Own,
            "pwrite64:error=ENOSPC:when=60",
        ),
    ];
    faults
        .into_iter()
        .map(|(name, mode, fault)| Trial::ignorable_test(name, move || broken(mode, fault)))
        .collect()
}

fn broken(mode: Mode, fault: &str) -> Result<Completion, Failed> {
    if let Some(reason) = strace::missing() {
        return cannot_run(reason);
    }
    let place = Place::new();
    let mut setup = place.setup(mode);
    // One failing call after the other comes to light.
    setup.ack_deadline_ms = 1_000;
    let trace = place.note("trace");
    let receiver = place.start_under(
        &strace::injecting_into(&place.database(), &trace, fault),
        &setup,
    );
    receiver.serving();
    let caller = Caller::new(&place);
    for task in 0..40 {
        caller.received_at_last(&format!("task-{task}"));
    }
    caller.nothing_is_lost(receiver);
    let injected = std::fs::read_to_string(&trace)?
        .matches("(INJECTED)")
        .count();
    if injected == 0 {
        return Err("nothing failed".into());
    }
    println!("{mode:?} under {fault}: {injected} calls failed");
    Ok(Completion::Completed)
}
