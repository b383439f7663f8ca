//! Running a receiver under `strace`, which sees and bends its calls into the kernel.

use std::path::Path;

#[path = "../support/strace.rs"]
mod attached;

pub use self::attached::{Broken, missing};

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

/// Lets calls of a process on a database's files fail from now on.
pub fn broken(process: u32, database: &Path, fault: &str) -> Broken {
    let log = format!("{}-wal", database.display());
    Broken::attach(&[process], &[database.to_owned(), log.into()], fault)
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
