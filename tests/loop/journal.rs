//! What the service did, in the order in which it did it.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A process begins.
    Start,
    /// The handler got an event.
    Begin(Given),
    /// An attempt of the handler failed.
    Failed { task: String, rank: u16 },
    /// The handler was through with it.
    End { task: String, rank: u16 },
    /// A task that was submitted elsewhere is tracked.
    Tracked(String),
    /// Somebody waited for the event of an order, and has it.
    Waited { order: String, task: String },
    /// Somebody waited, and none will come.
    GivenUp { order: String, reason: String },
    /// Something that must not be.
    Surprise(String),
}

/// An event, as the handler got it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) task: String,
    pub(crate) rank: u16,
    pub(crate) attempt: u32,
    /// In milliseconds, on a clock that all processes share.
    pub(crate) at: u64,
    pub(crate) code: i64,
    pub(crate) url: Option<String>,
    pub(crate) correlation: Option<String>,
    pub(crate) polled: bool,
}

impl Line {
    /// All lines so far.
    pub(crate) fn read(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last one may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

/// Appends lines. Each is on disk before anything else happens.
#[derive(Clone)]
pub(crate) struct Journal(Arc<File>);

impl Journal {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Arc::new(file.unwrap()))
    }

    pub(crate) fn write(&self, line: &Line) {
        let text = serde_json::to_string(line).unwrap() + "\n";
        let written = (&*self.0).write(text.as_bytes()).unwrap();
        assert_eq!(written, text.len());
        self.0.sync_data().unwrap();
    }
}
