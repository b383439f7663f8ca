//! An event that ends the process that handles it.

use libtest_mimic::Trial;
use tower_callback::store::{State, Store};

use crate::{
    Caller, block_on,
    receiver::{Line, Mode, POISON, Place, events, open, wait_for},
    wait_for_end,
};

const LIMIT: u32 = 5;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test(
        "an_event_that_kills_its_process_is_given_up_and_its_neighbours_are_handled",
        || {
            poison();
            Ok(())
        },
    )]
}

fn poison() {
    let place = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.lease_ttl_ms = 2_000;
    setup.suspect_limit = LIMIT;
    setup.worker = false;
    let front = place.start(&setup);
    let caller = Caller::new(&place);
    let neighbours: Vec<_> = (0..10).map(|task| format!("neighbour-{task}")).collect();
    for task in &neighbours[..5] {
        caller.received_at_last(task);
    }
    caller.received_at_last(POISON);
    for task in &neighbours[5..] {
        caller.received_at_last(task);
    }
    front.kill();

    setup.worker = true;
    let mut receiver = place.start(&setup);
    let store = block_on(open(&place.database()));
    let mut kills = 0;
    wait_for("it is given up", || {
        if receiver.has_ended() {
            kills += 1;
            receiver = place.start(&setup);
        }
        let found = block_on(store.find(&events(), POISON.as_bytes()));
        found.unwrap().unwrap().state == State::Dead
    });
    // On a slow machine, a lease may expire before the handler has begun.
    assert!((1..=LIMIT).contains(&kills), "{kills}");
    let begins = Line::Begin(POISON.to_owned(), 1);
    let journal = place.journal();
    let begins = journal.iter().filter(|line| **line == begins).count();
    assert_eq!(begins, kills as usize);
    for task in &neighbours {
        wait_for_end(&place, task);
    }
    assert!(!receiver.has_ended(), "the last one goes on");
}
