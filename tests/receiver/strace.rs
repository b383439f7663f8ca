//! Running a receiver under `strace`, which sees and bends its calls into the kernel.

use std::{path::Path, process::Command, sync::OnceLock};

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
    for suffix in ["", "-wal"] {
        command.extend(["-P".to_owned(), format!("{}{suffix}", database.display())]);
    }
    command
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
