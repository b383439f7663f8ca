//! What the service is told when it is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

const VARIABLE: &str = "TOWER_CALLBACK_TEST_LOOP";

/// How much faster than ours all clocks run: 20 minutes of theirs are 12 s.
pub(crate) const SPEED: u32 = 100;
/// Signs the callback URLs.
pub(crate) const KEY: &str = "a-key-of-32-random-bytes-nov-26.";
/// The orders of one play.
pub(crate) const ORDERS: usize = 8;

/// How the service is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// Callbacks are events, and the provider is asked where none comes.
    Polling,
    /// The same, and what may have been submitted is submitted again: a conflict is idempotent.
    Resubmitting,
    /// Callbacks are hints.
    Confirming,
    /// Both.
    ConfirmingResubmitting,
    /// As the first, and the handler fetches the videos.
    Downloading,
}

impl Mode {
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Polling,
            1 => Self::Resubmitting,
            2 => Self::Confirming,
            _ => Self::ConfirmingResubmitting,
        }
    }

    pub(crate) fn confirms(self) -> bool {
        matches!(self, Self::Confirming | Self::ConfirmingResubmitting)
    }

    pub(crate) fn resubmits(self) -> bool {
        matches!(self, Self::Resubmitting | Self::ConfirmingResubmitting)
    }

    pub(crate) fn downloads(self) -> bool {
        self == Self::Downloading
    }
}

/// What the service is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) database: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) phase: PathBuf,
    pub(crate) videos: PathBuf,
    pub(crate) provider: String,
    pub(crate) api_key: String,
    /// Where the provider finds it.
    pub(crate) callback_url: String,
    /// Tasks that were submitted elsewhere, to be tracked.
    pub(crate) elsewhere: Vec<String>,
}

impl Setup {
    /// What this process was told, if it is a service.
    pub(crate) fn given() -> Option<Self> {
        let json = std::env::var(VARIABLE).ok()?;
        Some(serde_json::from_str(&json).unwrap())
    }

    /// For the environment of a process that is to be the service.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        (VARIABLE, serde_json::to_string(self).unwrap())
    }
}

/// The correlation id of an order.
pub(crate) fn order(number: usize) -> String {
    format!("order-{number}")
}

/// Its track at the provider.
pub(crate) fn track(number: usize) -> String {
    format!("track-of-{}", order(number))
}

/// The order of a track; none for one that was submitted elsewhere.
pub(crate) fn order_of(track: &str) -> Option<&str> {
    track.strip_prefix("track-of-")
}
