//! A full disk: a small file system of its own.

use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Completion, Failed, Trial};

use crate::{
    Caller,
    receiver::{Line, Mode, Place, cannot_run, wait_for},
    wait_for_end,
};

/// What is to be done on a small file system.
type Test = fn(&Path);

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&'static str, Test); 3] = [
        ("a_full_disk_is_503_until_there_is_room", |dir| {
            full(dir, Mode::Own);
        }),
        (
            "a_full_disk_is_503_until_there_is_room_also_on_a_pool",
            |dir| full(dir, Mode::PoolWithoutSync),
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

/// Set where this process is in a namespace of its own already.
const UNSHARED: &str = "TOWER_CALLBACK_TEST_UNSHARED";

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

/// Mounting is for root, also for the root of a namespace of one's own, in which the test is then
/// run again. Not every container lets us have that.
fn on_small_disk(name: &str, test: Test) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir().unwrap();
    let reason = match SmallDisk::mount(directory.path()) {
        Ok(disk) => {
            test(&disk.0);
            return Ok(Completion::Completed);
        }
        Err(reason) => format!("no small file system can be mounted: {reason}"),
    };
    if env::var_os(UNSHARED).is_some() {
        return Err(reason.into());
    }
    let mut probe = unshare();
    probe.args(["mount", "-t", "tmpfs", "tmpfs"]);
    let probe = probe.arg(directory.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return cannot_run(reason);
    }
    let mut again = unshare();
    again.arg(env::current_exe().unwrap());
    let again = again.args(["--exact", name]).env(UNSHARED, "1").output()?;
    if again.status.success() {
        Ok(Completion::Completed)
    } else {
        Err(String::from_utf8_lossy(&again.stdout).into_owned().into())
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.arg("-rm");
    command
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
