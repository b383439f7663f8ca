//! Who runs where: servers on one core, everything else on another.

use std::{
    io,
    process::{Child, Command},
    thread,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two cores of those that we may use; the same one twice where there is only one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    server: usize,
    others: usize,
}

impl Cores {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let ours = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core));
        let server = cores
            .next()
            .ok_or_else(|| io::Error::other("no core is ours"))?;
        let others = cores.next().unwrap_or(server);
        Ok(Self { server, others })
    }

    /// Keeps this thread, and what it starts, off the servers' core.
    pub(crate) fn leave_to_server(self) -> io::Result<()> {
        pin(self.others)
    }

    /// Starts a process on the servers' core.
    pub(crate) fn start(self, mut command: Command) -> io::Result<Child> {
        // A process runs where the thread does that started it.
        let started = thread::spawn(move || {
            pin(self.server)?;
            command.spawn()
        });
        started
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))?
    }
}

fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
