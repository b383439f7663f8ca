//! What a process is doing at this moment, in a file that survives its end.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex},
};

/// What is counted while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Insert,
    Handler,
    Settle,
}

/// How many inserts, handlers and settlements were under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// The process, once it serves.
    pub pid: u32,
    pub inserts: u32,
    pub handlers: u32,
    pub settles: u32,
}

impl Phase {
    /// What was last written; nothing, if nothing was.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let word = |index: usize| {
            let word = bytes.get(index * 4..index * 4 + 4);
            word.map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()))
        };
        Self {
            pid: word(0),
            inserts: word(1),
            handlers: word(2),
            settles: word(3),
        }
    }
}

/// Writes the phase on every change. Each write is one call into the kernel, which has it whatever
/// becomes of the process.
#[derive(Clone)]
pub struct Teller(Arc<Mutex<(File, Phase)>>);

impl Teller {
    pub fn new(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        let file = options.open(path).unwrap();
        Self(Arc::new(Mutex::new((file, Phase::default()))))
    }

    pub fn serving(&self) {
        self.change(|phase| phase.pid = std::process::id());
    }

    /// It goes on until the guard is dropped.
    pub fn enter(&self, part: Part) -> Within {
        self.change(|phase| *count(phase, part) += 1);
        Within(self.clone(), part)
    }

    fn change(&self, change: impl FnOnce(&mut Phase)) {
        let mut guard = self.0.lock().unwrap();
        let (file, phase) = &mut *guard;
        change(phase);
        let words = [phase.pid, phase.inserts, phase.handlers, phase.settles];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.write_all_at(&bytes, 0).unwrap();
    }
}

fn count(phase: &mut Phase, part: Part) -> &mut u32 {
    match part {
        Part::Insert => &mut phase.inserts,
        Part::Handler => &mut phase.handlers,
        Part::Settle => &mut phase.settles,
    }
}

pub struct Within(Teller, Part);

impl Drop for Within {
    fn drop(&mut self) {
        self.0.change(|phase| *count(phase, self.1) -= 1);
    }
}
