//! The file: made read-only, moved away, replaced.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use libtest_mimic::Trial;
use sqlx::{Connection, Executor, Row};
use tower_callback::store::Store;

use crate::{
    Caller, block_on, is_whole,
    neighbours::{lock, unlock},
    receiver::{Line, Mode, Place, connect, events, open, wait_for},
    wait_for_end,
};

/// Nobody in particular.
const NOBODY: u32 = 65_534;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a_file_made_read_only_is_503_until_it_can_be_written",
            || {
                read_only(Mode::Own);
                Ok(())
            },
        ),
        Trial::test(
            "a_spool_made_read_only_is_503_until_it_can_be_written",
            || {
                read_only(Mode::Spooled);
                Ok(())
            },
        ),
        Trial::test("a_corrupted_file_is_503_until_it_is_restored", || {
            corrupted();
            Ok(())
        }),
        Trial::test("a_file_replaced_by_another_is_opened_anew", || {
            replaced();
            Ok(())
        }),
        Trial::test("a_file_that_is_gone_is_503_until_it_is_back", || {
            gone();
            Ok(())
        }),
        Trial::test(
            "a_file_replaced_under_a_pool_is_503_until_it_is_back",
            || {
                replaced_under_pool();
                Ok(())
            },
        ),
    ]
}

/// The rights of root are not limited by a file's mode.
fn place_of_mortals() -> Place {
    let place = Place::new();
    match rustix::process::geteuid().is_root() {
        true => place.with_user(NOBODY),
        false => place,
    }
}

fn set_mode(place: &Place, mode: u32) {
    for suffix in ["", "-wal", "-shm"] {
        let path = place.file(&format!("callbacks.db{suffix}"));
        if path.exists() {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// Handles that are open keep their rights. So somebody's lock makes the receiver open new ones.
fn read_only(mode: Mode) {
    let place = place_of_mortals();
    let mut setup = place.setup(mode);
    setup.busy_timeout_ms = 100;
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    caller.received_at_last("before");

    let somebody = lock(&place);
    caller.turned_away("while");
    set_mode(&place, 0o444);
    caller.turned_away("while");
    unlock(somebody);
    caller.turned_away("while");
    caller.turned_away("while");
    set_mode(&place, 0o644);
    caller.received_at_last("while");
    caller.nothing_is_lost(receiver);
}

/// Everything behind the first page is overwritten, under a receiver that runs. Nobody has these pages
/// in mind, since somebody else has written meanwhile.
fn corrupted() {
    let place = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    for task in 0..20 {
        let task = format!("before-{task}");
        caller.received_at_last(&task);
        let settled = Line::Settled(task, 1);
        wait_for("it is settled", || place.journal().contains(&settled));
    }
    block_on(fold_log(&place.database()));
    let file = fs::File::options().write(true).open(place.database());
    let file = file.unwrap();
    let whole = fs::read(place.database()).unwrap();
    let damaged = vec![0xa5; whole.len() - PAGE];
    file.write_all_at(&damaged, PAGE as u64).unwrap();
    for task in ["while-0", "while-1"] {
        caller.turned_away(task);
    }
    file.write_all_at(&whole, 0).unwrap();
    for task in ["while-0", "while-1"] {
        caller.received_at_last(task);
    }
    caller.nothing_is_lost(receiver);
}

const PAGE: usize = 4096;

/// Writes something, and all of the log into the file.
async fn fold_log(database: &Path) {
    let mut conn = connect(database).await;
    conn.execute("CREATE TABLE somebodys (n)").await.unwrap();
    let start = std::time::Instant::now();
    loop {
        let folded = "PRAGMA wal_checkpoint(TRUNCATE)";
        let row = conn.fetch_one(folded).await.unwrap();
        if row.get::<i64, _>(0) == 0 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "never folded");
    }
    conn.close().await.unwrap();
}

fn rename(place: &Place, from: &str, to: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let from = place.file(&format!("{from}{suffix}"));
        if from.exists() {
            fs::rename(from, place.file(&format!("{to}{suffix}"))).unwrap();
        }
    }
}

fn replaced() {
    let place = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    caller.received_at_last("before");
    wait_for_end(&place, "before");

    rename(&place, "callbacks.db", "old.db");
    block_on(async { drop(open(&place.database()).await) });
    caller.received_at_last("after");
    let known = block_on(find(&place.file("old.db"), "after"));
    assert!(!known, "it went into a file that nobody finds again");
    wait_for_end(&place, "after");
    receiver.kill();
    block_on(is_whole(&place.database(), &["after".to_owned()]));
    block_on(is_whole(&place.file("old.db"), &["before".to_owned()]));
}

fn gone() {
    let place = Place::new();
    let mut setup = place.setup(Mode::Own);
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    caller.received_at_last("before");

    rename(&place, "callbacks.db", "away.db");
    caller.turned_away("while");
    assert!(
        !place.database().exists(),
        "a new file hides that events are gone"
    );
    rename(&place, "away.db", "callbacks.db");
    caller.received_at_last("while");
    caller.nothing_is_lost(receiver);
}

fn replaced_under_pool() {
    let place = Place::new();
    let mut setup = place.setup(Mode::PoolWithoutSync);
    setup.ack_deadline_ms = 1_000;
    let receiver = place.start(&setup);
    let caller = Caller::new(&place);
    caller.received_at_last("before");

    rename(&place, "callbacks.db", "away.db");
    block_on(async { drop(open(&place.database()).await) });
    caller.turned_away("while");
    rename(&place, "callbacks.db", "other.db");
    rename(&place, "away.db", "callbacks.db");
    caller.received_at_last("while");
    caller.nothing_is_lost(receiver);
}

async fn find(database: &Path, task: &str) -> bool {
    let store = open(database).await;
    let found = store.find(&events(), task.as_bytes()).await;
    found.unwrap().is_some()
}
