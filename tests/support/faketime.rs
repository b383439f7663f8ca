//! Processes whose wall clock is wrong, by `libfaketime`.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test, which uses its own part"
)]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

/// What is missing for a process with a wrong clock.
pub fn missing() -> Option<String> {
    match library() {
        Some(_) => None,
        None => Some("needs libfaketime: the Debian package `faketime`".to_owned()),
    }
}

pub fn library() -> Option<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").ok()?;
    architectures
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")))
        .find(|library| library.exists())
}

/// The wall clock of processes that are started under it, which can be turned while they run.
pub struct WallClock(TempDir);

impl WallClock {
    pub fn right() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // For whoever the process runs as.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let clock = Self(directory);
        clock.is_off_by(0);
        clock
    }

    /// From now on, it is so many seconds ahead.
    pub fn is_off_by(&self, seconds: i64) {
        // In one step, for those who read it now.
        let new = self.0.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clock")
    }

    /// The command that starts another one under this clock.
    pub fn wrapper(&self) -> Vec<String> {
        let (library, file) = (library().unwrap(), self.file());
        vec![
            "/usr/bin/env".to_owned(),
            // The C library's own allocator: jemalloc asks for the time before libfaketime is ready.
            format!("LD_PRELOAD={}:libc.so.6", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            // Timers go by it, and it is no time of day.
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ]
    }
}
