//! A receiver's process: started, watched, ended.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, Command, Stdio},
};

use tower_callback::BoxError;

use crate::{cores::Cores, memory::of_process};

pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    address: SocketAddr,
}

impl Server {
    /// Starts what says its port on the first line, and ends when its input does.
    pub(crate) fn start(mut command: Command, cores: Cores) -> Result<Self, BoxError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = cores.start(command)?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("it has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line
            .trim()
            .parse()
            .map_err(|_| format!("no port: {line:?}"))?;
        Ok(Self {
            child,
            input,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Microseconds that all its threads have run.
    pub(crate) fn processor_time(&self) -> f64 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name of the program may hold anything, and ends with the last bracket.
        let fields = stat
            .rsplit_once(')')
            .map(|(_, fields)| fields)
            .unwrap_or_default();
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
        // Linux shows hundredths of a second to everybody.
        ticks * 10_000.0
    }

    /// The most memory it ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        of_process(self.child.id(), "VmHWM:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself; should it not, nobody is waiting for what it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program, to serve.
pub(crate) fn ourselves() -> Result<Command, BoxError> {
    Ok(Command::new(env::current_exe()?))
}
