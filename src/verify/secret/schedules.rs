//! Every schedule of threads that read secrets, replace them and ask something of them.
//!
//! The list is compiled here once more, with the locks of loom, which tries all interleavings. There
//! is no await point in it, so nobody can leave in the middle but by a panic.

mod sync {
    pub(super) use loom::sync::{Mutex, RwLock};
}

#[allow(clippy::duplicate_mod, reason = "the same code with other locks")]
#[path = "current.rs"]
mod current;

use std::{panic, sync::Arc};

use loom::thread;

use self::current::Current;

fn shared(list: [u32; 2]) -> Arc<Current<u32>> {
    Arc::new(Current::new(Arc::new(list)))
}

fn anything(_: &[u32]) -> Result<(), String> {
    Ok(())
}

fn even(list: &[u32]) -> Result<(), String> {
    match list.iter().all(|secret| secret % 2 == 0) {
        true => Ok(()),
        false => Err("odd".to_owned()),
    }
}

#[test]
fn whoever_reads_sees_one_list_or_the_next_whole_and_never_an_earlier_one_again() {
    loom::model(|| {
        let secrets = shared([1, 1]);
        let writer = Arc::clone(&secrets);
        let writing = thread::spawn(move || {
            writer.replace(Arc::new([2, 2]), anything).unwrap();
            writer.replace(Arc::new([3, 3]), anything).unwrap();
        });
        let reader = Arc::clone(&secrets);
        let reading = thread::spawn(move || [reader.get(), reader.get()]);
        let seen = reading.join().unwrap();
        for list in &seen {
            assert_eq!(list[0], list[1], "some of both");
        }
        assert!(seen[0][0] <= seen[1][0], "an earlier list");
        writing.join().unwrap();
        assert_eq!(*secrets.get(), [3, 3]);
    });
}

#[test]
fn a_rule_and_a_list_that_breaks_it_are_never_both_taken() {
    loom::model(|| {
        let secrets = shared([2, 2]);
        let writer = Arc::clone(&secrets);
        let replacing = thread::spawn(move || writer.replace(Arc::new([3, 3]), anything).is_ok());
        let builder = Arc::clone(&secrets);
        let requiring = thread::spawn(move || builder.require("proof", even, anything).is_ok());
        let replaced = replacing.join().unwrap();
        let required = requiring.join().unwrap();
        assert!(replaced != required, "one of them, whoever came first");
        assert_eq!(even(&secrets.get()).is_ok(), required);
    });
}

/// Not under loom, whose locks know no poison.
#[test]
fn a_rule_that_panics_leaves_the_old_list_and_stops_nobody() {
    fn no_seven(list: &[u32]) -> Result<(), String> {
        assert_ne!(list[0], 7, "a bug in a rule");
        Ok(())
    }
    let secrets = super::current::Current::new(Arc::new([2, 2]));
    secrets.require("proof", no_seven, anything).unwrap();
    let replace = panic::AssertUnwindSafe(|| secrets.replace(Arc::new([7, 7]), anything));
    panic::catch_unwind(replace).unwrap_err();
    assert_eq!(*secrets.get(), [2, 2]);
    secrets.replace(Arc::new([4, 4]), anything).unwrap();
    secrets.require("another proof", even, anything).unwrap();
    assert_eq!(*secrets.get(), [4, 4]);
}
