//! Running a receiver under `strace`, which sees and bends its calls into the kernel.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    sync::OnceLock,
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// Why nothing can be traced here, if so.
pub fn missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let probe = || {
        let tried = Command::new("strace")
            .args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
            .output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(format!(
                "strace cannot trace here: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Some(format!(
                "strace cannot be run (Debian's package strace): {error}"
            )),
        }
    };
    MISSING.get_or_init(probe).clone()
}

/// The command that traces what goes to disks and sockets, to a file.
pub fn tracing(trace: &Path) -> Vec<String> {
    let mut command = command(trace);
    command.push("--seccomp-bpf".to_owned());
    command
}

/// The command that lets some calls fail or kill, too: see `inject` in strace's manual. Calls are
/// counted for each thread and each name.
pub fn injecting(trace: &Path, fault: &str) -> Vec<String> {
    // Not with a filter in the kernel: it makes strace see the call too late for that.
    let mut command = command(trace);
    command.extend(["-e".to_owned(), format!("inject={fault}")]);
    command
}

/// The same, where only calls on a database's files fail, and are seen.
pub fn injecting_into(database: &Path, trace: &Path, fault: &str) -> Vec<String> {
    let mut command = injecting(trace, fault);
    command.extend(only(database));
    command
}

fn only(database: &Path) -> [String; 4] {
    let option = || "-P".to_owned();
    let path = |suffix| format!("{}{suffix}", database.display());
    [option(), path(""), option(), path("-wal")]
}

/// A fault of a process that runs already. It is over when this is dropped.
pub struct Broken(Child);

impl Broken {
    /// Lets calls of a process on a database's files fail from now on.
    pub fn attach(process: u32, database: &Path, fault: &str) -> Self {
        let child = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("inject={fault}"))
            .args(only(database))
            .args(["-p", &process.to_string()])
            .spawn()
            .unwrap();
        let mut broken = Self(child);
        wait_for("strace is attached", || {
            let ended = broken.0.try_wait().unwrap();
            assert!(ended.is_none(), "strace ended: {ended:?}");
            is_traced(process)
        });
        broken
    }
}

/// Whether every thread is.
fn is_traced(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.contains("\nTracerPid:\t0\n")
    })
}

impl Drop for Broken {
    fn drop(&mut self) {
        // It detaches, and leaves the process as it was.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

fn command(trace: &Path) -> Vec<String> {
    let calls = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,\
                 pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range";
    // Whole pages, and names beside descriptors.
    [
        "strace",
        "-f",
        "-qq",
        "-ttt",
        "-yy",
        "-s",
        "70000",
        "-e",
        "signal=none",
        "-e",
        calls,
        "-o",
    ]
    .into_iter()
    .chain([trace.to_str().unwrap()])
    .map(ToOwned::to_owned)
    .collect()
}
