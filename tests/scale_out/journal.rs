//! What workers did, in the order in which they did it.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Arc,
};

use tower_callback::store::LeaseToken;

/// What is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A handler got the event.
    Begins,
    /// A handler was through with it.
    Handled,
    /// The store, or a transaction's commit, has answered that it is done.
    Done,
    /// A settlement came too late: somebody else has the record, or had it.
    SettlesNothing,
    /// An extension came too late.
    ExtendsNothing,
    /// A completion in a transaction came too late.
    CompletesNothing,
}

impl What {
    const ALL: [Self; 6] = [
        Self::Begins,
        Self::Handled,
        Self::Done,
        Self::SettlesNothing,
        Self::ExtendsNothing,
        Self::CompletesNothing,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Begins => "begins",
            Self::Handled => "handled",
            Self::Done => "done",
            Self::SettlesNothing => "settles-nothing",
            Self::ExtendsNothing => "extends-nothing",
            Self::CompletesNothing => "completes-nothing",
        }
    }
}

/// One thing that a worker did.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) worker: String,
    pub(crate) what: What,
    pub(crate) task: String,
    pub(crate) rank: u16,
    /// Of the lease.
    pub(crate) token: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        let (worker, what) = (words.next()?, words.next()?);
        Some(Self {
            worker,
            what: What::ALL.into_iter().find(|known| known.as_str() == what)?,
            task: words.next()?,
            rank: words.next()?.parse().ok()?,
            token: words.next()?,
        })
    }
}

/// All whole lines so far.
pub(crate) fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    whole
        .lines()
        .map(|line| Line::parse(line).unwrap())
        .collect()
}

/// Appends lines, each with one call: what is in the kernel survives the process, and lines of
/// several processes do not mix.
#[derive(Clone)]
pub(crate) struct Journal(Arc<(File, String)>);

impl Journal {
    pub(crate) fn open(path: &Path, name: &str) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Arc::new((file.unwrap(), name.to_owned())))
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> &str {
        &self.0.1
    }

    pub(crate) fn write(&self, what: What, task: &str, rank: u16, token: LeaseToken) {
        let (file, name) = &*self.0;
        let text = format!("{name} {} {task} {rank} {token}\n", what.as_str());
        let written = { file }.write(text.as_bytes()).unwrap();
        assert_eq!(written, text.len());
    }
}
