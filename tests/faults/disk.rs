//! A full disk: a small file system of its own.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Completion, Failed, Trial};

use crate::{
    Caller,
    receiver::{Mode, Place},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::ignorable_test("a_full_disk_is_503_until_there_is_room", || {
            on_small_disk(|dir| full(dir, 0, false))
        }),
        Trial::ignorable_test(
            "a_full_disk_is_503_until_there_is_room_also_on_a_pool",
            || on_small_disk(|dir| full(dir, 0, true)),
        ),
        Trial::ignorable_test(
            "below_the_reserve_new_events_are_503_and_old_ones_are_handled",
            || on_small_disk(|dir| full(dir, 2 * MIB, false)),
        ),
    ]
}

const MIB: u64 = 1024 * 1024;

/// A file system in memory, unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self, String> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "tower-callback-test"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(at.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: somebody who died a moment ago may still be in it.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "a tmpfs is left behind"
        );
    }
}

/// Mounting is for root, and not in every container. Writes that find no room are shown by `syncs`
/// there.
fn on_small_disk(test: impl FnOnce(&Path)) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir().unwrap();
    match SmallDisk::mount(directory.path()) {
        Ok(disk) => test(&disk.0),
        Err(reason) => {
            let reason = format!("no small file system can be mounted: {reason}");
            return Ok(Completion::ignored_with(reason));
        }
    }
    Ok(Completion::Completed)
}

/// Takes all the space there is, byte by byte in the end.
fn fill(path: &Path) {
    let file = File::options().create(true).append(true).open(path);
    let mut file = file.unwrap();
    let mut size = 1024 * 1024;
    while size > 0 {
        match file.write_all(&vec![7; size]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => panic!("{error}"),
        }
    }
}

fn full(directory: &Path, reserve: u64, pool: bool) {
    let place = Place::at(directory);
    let mut setup = place.setup(if pool {
        Mode::PoolWithoutSync
    } else {
        Mode::Own
    });
    setup.reserve = reserve;
    setup.ack_deadline_ms = 1_000;
    // What was acknowledged is still being handled when the disk is full.
    setup.handler_ms = 300;
    let receiver = place.start(&setup);
    let mut caller = Caller::new(&place);
    for task in 0..5 {
        caller.received(&format!("before-{task}"));
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
