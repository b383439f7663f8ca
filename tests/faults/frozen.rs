//! Receivers that stand still for longer than their leases last.

use std::{collections::HashMap, thread, time::Duration};

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    Caller,
    receiver::{Line, Mode, Place, Receiver, wait_for},
};

const LEASE_TTL_MS: u64 = 300;

pub(crate) fn trials() -> Vec<Trial> {
    let alone = [
        (
            "a_receiver_that_was_frozen_settles_each_event_once",
            Mode::Own,
        ),
        (
            "a_receiver_on_memory_that_was_frozen_settles_each_event_once",
            Mode::Memory,
        ),
        (
            "a_receiver_with_a_spool_that_was_frozen_settles_each_event_once",
            Mode::Spooled,
        ),
    ];
    let alone = alone.map(|(name, mode)| {
        Trial::test(name, move || {
            one(mode);
            Ok(())
        })
    });
    let two = Trial::test(
        "of_two_receivers_on_one_file_that_freeze_in_turn_each_event_is_settled_once",
        || {
            two();
            Ok(())
        },
    );
    alone.into_iter().chain([two]).collect()
}

/// Stops it until all its leases have expired.
fn freeze(receiver: &Receiver) {
    receiver.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(2 * LEASE_TTL_MS));
    receiver.signal(Signal::CONT);
}

fn settled_once(place: &Place, tasks: &[String]) {
    let settlements = || {
        let mut times: HashMap<String, usize> = HashMap::new();
        for line in place.journal() {
            if let Line::Settled(task, _) = line {
                *times.entry(task).or_default() += 1;
            }
        }
        times
    };
    wait_for("all is settled", || settlements().len() == tasks.len());
    let times = settlements();
    assert!(
        tasks.iter().all(|task| times.get(task) == Some(&1)),
        "{times:?}"
    );
}

fn tasks(count: usize) -> Vec<String> {
    (0..count).map(|task| format!("task-{task:03}")).collect()
}

fn one(mode: Mode) {
    let place = Place::new();
    let mut setup = place.setup(mode);
    setup.handler_ms = 100;
    setup.lease_ttl_ms = LEASE_TTL_MS;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    let tasks = tasks(40);
    thread::scope(|scope| {
        let calls = scope.spawn(|| {
            for task in &tasks {
                caller.received_at_last(task);
            }
        });
        for _ in 0..3 {
            freeze(&receiver);
            thread::sleep(Duration::from_millis(100));
        }
        place.end_outage();
        calls.join().unwrap();
    });
    settled_once(&place, &tasks);
}

/// One that is frozen while it writes keeps the lock: the other one answers 503 until it goes on.
fn two() {
    let place = Place::new();
    // Another socket is all that the second process needs.
    let other = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.handler_ms = 50;
    setup.lease_ttl_ms = LEASE_TTL_MS;
    setup.ack_deadline_ms = 1_000;
    let receivers = [place.start(&setup), other.start(&setup)];
    let callers = [Caller::new(&place), Caller::new(&other)];
    let tasks = tasks(150);
    thread::scope(|scope| {
        let mut calls: Vec<_> = Vec::new();
        for caller in &callers {
            let tasks = &tasks;
            calls.push(scope.spawn(move || {
                for task in tasks {
                    caller.received_at_last(task);
                }
            }));
        }
        while !calls.iter().all(|calls| calls.is_finished()) {
            for receiver in &receivers {
                freeze(receiver);
                thread::sleep(Duration::from_millis(100));
            }
        }
    });
    settled_once(&place, &tasks);
}
