//! What a receiver is told when it is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

const VARIABLE: &str = "TOWER_CALLBACK_TEST_RECEIVER";

/// What a receiver is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where its files are.
    pub dir: PathBuf,
    pub mode: Mode,
    /// The longest that a handler takes, in milliseconds.
    pub handler_ms: u64,
    /// How many of a hundred attempts fail.
    pub failing: u32,
    pub lease_ttl_ms: u64,
    pub busy_timeout_ms: u64,
    pub ack_deadline_ms: u64,
    /// Bytes that must be free on the disk.
    pub reserve: u64,
    /// Whether a worker handles what is received.
    pub worker: bool,
    /// Whether the process tells what it is doing at every moment.
    pub tells_phase: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// A file of the store's own.
    Own,
    /// The store lives in the user's database, and handlers complete their leases there.
    ExactlyOnce,
    /// A pool whose every connection is handed out with `synchronous=OFF`.
    PoolWithoutSync,
    /// No store of ours: one that writes with `synchronous=OFF`.
    Careless,
    /// A store that answers while it still commits.
    Early,
}

impl Setup {
    pub fn new(dir: PathBuf, mode: Mode) -> Self {
        Self {
            dir,
            mode,
            handler_ms: 0,
            failing: 0,
            lease_ttl_ms: 60_000,
            busy_timeout_ms: 5_000,
            ack_deadline_ms: 10_000,
            reserve: 0,
            worker: true,
            tells_phase: false,
        }
    }

    /// What this process was told, if it is a receiver.
    pub fn given() -> Option<Self> {
        let json = std::env::var(VARIABLE).ok()?;
        Some(serde_json::from_str(&json).unwrap())
    }

    /// For the environment of a process that is to be a receiver.
    pub fn variable(&self) -> (&'static str, String) {
        (VARIABLE, serde_json::to_string(self).unwrap())
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("callbacks.db")
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    pub fn phase(&self) -> PathBuf {
        self.dir.join("phase")
    }
}
