//! A Redis of our own, from the machine's binary. Nothing is left of it at the end.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tower_callback::BoxError;

use super::server::{Process, User, find};

pub(super) struct Redis {
    port: u16,
    program: PathBuf,
    user: User,
    process: Option<Process>,
    directory: TempDir,
}

impl Redis {
    /// Makes a server that keeps what it acknowledges, and waits until it answers.
    pub(super) async fn start() -> Result<Self, BoxError> {
        let program = find("redis-server", &[])
            .ok_or("there is no redis-server (Debian's package redis-server)")?;
        let user = User::instead_of_root(&["redis", "nobody"]);
        let mut server = Self {
            port: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()?
                .port(),
            program,
            user,
            process: None,
            directory: user.directory(),
        };
        let log = server.directory.path().join("log");
        fs::write(&log, "")?;
        user.give(&log);
        server.run().await?;
        Ok(server)
    }

    /// Ends it, as `kill -9` would.
    pub(super) fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("KILL");
        }
    }

    /// Runs it again, and waits until it answers.
    pub(super) async fn run(&mut self) -> Result<(), BoxError> {
        let directory = self.directory.path();
        let settings = [
            ("port", self.port.to_string()),
            ("bind", "127.0.0.1".to_owned()),
            ("dir", directory.display().to_string()),
            ("save", String::new()),
            ("appendonly", "yes".to_owned()),
            ("appendfsync", "always".to_owned()),
            ("maxmemory-policy", "noeviction".to_owned()),
            // The log is rewritten often enough for its size to say something.
            ("auto-aof-rewrite-min-size", "4mb".to_owned()),
        ];
        let args: Vec<String> = settings
            .into_iter()
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect();
        let log = directory.join("log");
        let process = Process::start(self.user, &self.program, &args, directory, "KILL", &log);
        self.process = Some(process);
        let answers = async {
            while !matches!(self.command("PING").await, Ok(answer) if answer.starts_with("+PONG")) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        match timeout(Duration::from_secs(60), answers).await {
            Ok(()) => Ok(()),
            Err(_) => Err(fs::read_to_string(log)?.into()),
        }
    }

    /// One command on a connection of its own, and what is answered.
    pub(super) async fn command(&self, line: &str) -> Result<String, BoxError> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream
            .write_all(format!("{line}\r\nQUIT\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// What it has in memory and in its files, in bytes.
    pub(super) async fn size(&self) -> Result<u64, BoxError> {
        let info = self.command("INFO memory").await?;
        let mut lines = info.lines();
        let memory = lines.find_map(|line| line.strip_prefix("used_memory:"));
        let memory: u64 = memory
            .ok_or("Redis does not tell its memory")?
            .trim()
            .parse()?;
        let logs = fs::read_dir(self.directory.path().join("appendonlydir"))?;
        let logs = logs.flatten().filter_map(|file| file.metadata().ok());
        Ok(memory + logs.map(|file| file.len()).sum::<u64>())
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.crash();
    }
}
