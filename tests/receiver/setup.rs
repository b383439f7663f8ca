//! What a receiver is told when it is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

const VARIABLE: &str = "TOWER_CALLBACK_TEST_RECEIVER";

/// What a receiver is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    pub database: PathBuf,
    /// Where it writes down what it does.
    pub notes: PathBuf,
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
    /// How many leases of an event may expire before it is given up.
    pub suspect_limit: u32,
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
    /// No file at all.
    Memory,
    /// A spool in front of a store that is away for as long as the test says.
    Spooled,
}

impl Setup {
    pub fn new(database: PathBuf, notes: PathBuf, mode: Mode) -> Self {
        Self {
            database,
            notes,
            mode,
            handler_ms: 0,
            failing: 0,
            lease_ttl_ms: 2_000,
            busy_timeout_ms: 5_000,
            ack_deadline_ms: 10_000,
            reserve: 0,
            worker: true,
            // The kills are not the events' fault.
            suspect_limit: u32::MAX,
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

    /// The store behind a spool.
    pub fn engine(&self) -> PathBuf {
        self.notes.join("engine.db")
    }

    /// It is away while this is there.
    pub fn away(&self) -> PathBuf {
        self.notes.join("away")
    }

    pub fn journal(&self) -> PathBuf {
        self.notes.join("journal")
    }

    pub fn phase(&self) -> PathBuf {
        self.notes.join("phase")
    }
}
