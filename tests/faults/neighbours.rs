//! Other processes on the same file.

use std::{collections::HashMap, thread};

use libtest_mimic::Trial;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    Caller, block_on, body,
    receiver::{Line, Mode, Place, connect, counts, integrity, open, post, wait_for},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a_database_locked_by_another_process_is_503_until_it_is_not",
            || {
                locked(Mode::Own);
                Ok(())
            },
        ),
        Trial::test(
            "a_pool_locked_by_another_process_is_503_until_it_is_not",
            || {
                locked(Mode::PoolWithoutSync);
                Ok(())
            },
        ),
        Trial::test(
            "two_processes_on_one_file_make_one_record_and_handle_it_once",
            || {
                two();
                Ok(())
            },
        ),
    ]
}

fn locked(mode: Mode) {
    let place = Place::new();
    let mut setup = place.setup(mode);
    setup.busy_timeout_ms = 100;
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    caller.received_at_last("before");

    let somebody = lock(&place);
    caller.turned_away("while");
    caller.turned_away("other");
    unlock(somebody);
    caller.received_at_last("while");
    caller.received_at_last("other");
    caller.nothing_is_lost(receiver);
}

/// Takes the write lock. This process is another one than the receiver's.
pub(crate) fn lock(place: &Place) -> SqliteConnection {
    block_on(async {
        let mut conn = connect(&place.database()).await;
        conn.execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE")
            .await
            .unwrap();
        conn
    })
}

pub(crate) fn unlock(mut conn: SqliteConnection) {
    block_on(async {
        conn.execute("ROLLBACK").await.unwrap();
        conn.close().await.unwrap();
    });
}

const TASKS: usize = 100;

fn two() {
    let place = Place::new();
    // Another socket is all that the second process needs.
    let other = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.handler_ms = 5;
    // A lease that is lost to a slow machine would be a second handling that is allowed.
    setup.lease_ttl_ms = 60_000;
    let receivers = [place.start(&setup), other.start(&setup)];
    thread::scope(|scope| {
        // Each event comes to both at the same time, twice.
        for address in [place.address(), other.address()].repeat(2) {
            scope.spawn(move || {
                for task in 0..TASKS {
                    let reply = post(address, &body(&format!("task-{task:03}"))).unwrap();
                    assert_eq!(reply.status, 200);
                }
            });
        }
    });
    let store = block_on(open(&place.database()));
    wait_for("all is settled", || {
        let counts = block_on(counts(&store));
        assert!(
            counts.pending + counts.leased + counts.done <= TASKS as u64,
            "{counts:?}"
        );
        counts.done == TASKS as u64
    });
    drop(receivers);

    let mut handled: HashMap<String, usize> = HashMap::new();
    for line in place.journal() {
        if let Line::Begin(task, _) = line {
            *handled.entry(task).or_default() += 1;
        }
    }
    assert_eq!(handled.len(), TASKS);
    assert!(handled.values().all(|times| *times == 1), "{handled:?}");
    assert_eq!(block_on(integrity(&place.database())), "ok");
}
