//! What handlers did, in the order in which they did it.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Arc,
};

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A handler got the event.
    Begin(String, u16),
    /// A handler was through with it.
    End(String, u16),
    /// The store has answered that it is settled as done.
    Settled(String, u16),
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (what, task, rank) = (words.next()?, words.next()?, words.next()?);
        let (task, rank) = (task.to_owned(), rank.parse().ok()?);
        Some(match what {
            "begin" => Self::Begin(task, rank),
            "end" => Self::End(task, rank),
            "settled" => Self::Settled(task, rank),
            _ => return None,
        })
    }

    fn text(&self) -> String {
        let (what, task, rank) = match self {
            Self::Begin(task, rank) => ("begin", task, rank),
            Self::End(task, rank) => ("end", task, rank),
            Self::Settled(task, rank) => ("settled", task, rank),
        };
        format!("{what} {task} {rank}\n")
    }

    /// All lines from a position on, and where they end.
    pub fn read(path: &Path, from: usize) -> (Vec<Self>, usize) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let new = &text[from..];
        assert!(new.is_empty() || new.ends_with('\n'), "a line was torn");
        let lines = new.lines().map(|line| Self::parse(line).unwrap());
        (lines.collect(), text.len())
    }
}

/// Appends lines, each with one call: what is in the kernel survives the process, and lines of
/// several processes do not mix.
#[derive(Clone)]
pub struct Journal(Arc<File>);

impl Journal {
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Arc::new(file.unwrap()))
    }

    pub fn write(&self, line: &Line) {
        let text = line.text();
        let written = (&*self.0).write(text.as_bytes()).unwrap();
        assert_eq!(written, text.len());
    }
}
