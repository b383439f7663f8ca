//! Letting calls of a process that runs fail, by `strace`.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test, which uses its own part"
)]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

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

/// A fault of processes that run already. It is over when this is dropped.
pub struct Broken(Child);

impl Broken {
    /// Lets calls of processes fail from now on: all of them, or those on some files. See `inject` in
    /// strace's manual for the fault.
    pub fn attach(processes: &[u32], files: &[PathBuf], fault: &str) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("inject={fault}"));
        for file in files {
            command.arg("-P").arg(file);
        }
        for process in processes {
            command.args(["-p", &process.to_string()]);
        }
        let mut broken = Self(command.spawn().unwrap());
        let start = Instant::now();
        while !processes.iter().all(|process| is_traced(*process)) {
            let ended = broken.0.try_wait().unwrap();
            assert!(ended.is_none(), "strace ended: {ended:?}");
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "strace never attaches");
            thread::sleep(Duration::from_millis(5));
        }
        broken
    }
}

/// Whether every thread is, of those that are left: a server's workers come and go.
fn is_traced(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return true;
    };
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
        // From a process that ends at this moment, it may wait for ever to be let go.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
