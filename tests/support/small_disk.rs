//! A small file system, to be filled.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test, which uses its own part"
)]

use std::{
    env,
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Completion, Failed};

use crate::cannot_run;

/// What is to be done on a small file system.
pub type Test = fn(&Path);

/// Set where this process is in a namespace of its own already.
const UNSHARED: &str = "TOWER_CALLBACK_TEST_UNSHARED";

/// A file system in memory, unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mebibytes: u32) -> Result<Self, String> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m")])
            .arg("tower-callback-test")
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

/// A test on a disk that a server runs on, as a user that is not root. So whoever is not root cannot
/// have it: in a namespace of one's own there is no other user.
pub fn on_server_disk(mebibytes: u32, test: Test) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir().unwrap();
    match SmallDisk::mount(directory.path(), mebibytes) {
        Ok(disk) => {
            test(&disk.0);
            Ok(Completion::Completed)
        }
        Err(reason) => cannot_run(format!("no small file system can be mounted: {reason}")),
    }
}

/// Mounting is for root, also for the root of a namespace of one's own, in which the test is then
/// run again. Not every container lets us have that.
pub fn on_small_disk(name: &str, test: Test) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir().unwrap();
    let reason = match SmallDisk::mount(directory.path(), 32) {
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
pub fn fill(path: &Path) {
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
