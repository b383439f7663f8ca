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
    let lasting = [
        (
            "a_disk_that_fails_to_sync_is_503_until_it_does",
            Mode::Own,
            "fsync,fdatasync:error=EIO",
        ),
        (
            "a_disk_that_fails_to_sync_under_a_pool_is_503_until_it_does",
            Mode::PoolWithoutSync,
            "fsync,fdatasync:error=EIO",
        ),
        (
            "a_disk_that_fails_to_sync_under_a_spool_is_503_until_it_does",
            Mode::Spooled,
            "fsync,fdatasync:error=EIO",
        ),
        (
            "a_disk_that_cannot_be_written_is_503_until_it_can",
            Mode::Own,
            "pwrite64:error=EIO",
        ),
        (
            "a_disk_without_room_is_503_until_there_is_some",
            Mode::Own,
            "pwrite64:error=ENOSPC",
        ),
    ];
    let mut trials = Vec::new();
    for (name, mode, fault) in faults {
        let test = move || traced(|| now_and_then(mode, fault));
        trials.push(Trial::ignorable_test(name, test));
    }
    for (name, mode, fault) in lasting {
        let test = move || traced(|| for_a_while(mode, fault));
        trials.push(Trial::ignorable_test(name, test));
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

/// Every call fails, until none does any more.
fn for_a_while(mode: Mode, fault: &str) -> Result<(), Failed> {
    let place = Place::new();
    let mut setup = place.setup(mode);
    setup.ack_deadline_ms = 1_000;
    // What was acknowledged before is still being handled.
    setup.handler_ms = 500;
    let receiver = place.start(&setup);
    let process = receiver.serving();
    let caller = Caller::new(&place);
    for task in 0..20 {
        caller.received_at_last(&format!("before-{task}"));
    }
    let broken = strace::broken(process, &place.database(), fault);
    for task in 0..3 {
        caller.turned_away(&format!("while-{task}"));
    }
    drop(broken);
    for task in 0..3 {
        caller.received_at_last(&format!("while-{task}"));
    }
    caller.received_at_last("after");
    caller.nothing_is_lost(receiver);
    Ok(())
}

/// One call fails, and no further one on the same connection until as many have passed.
fn now_and_then(mode: Mode, fault: &str) -> Result<(), Failed> {
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
    Ok(())
}
