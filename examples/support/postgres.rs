//! A PostgreSQL of our own, from the machine's binaries. Nothing is left of it at the end.

#![allow(
    dead_code,
    reason = "a module of its own in each example, which uses its own part"
)]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tower_callback::BoxError;

use super::server::{Process, User, find};

pub(super) struct Postgres {
    port: u16,
    program: PathBuf,
    user: User,
    settings: Vec<String>,
    process: Option<Process>,
    directory: TempDir,
}

impl Postgres {
    /// Makes a server with these settings, `name=value`, and waits until it answers.
    pub(super) async fn start(settings: &[&str]) -> Result<Self, BoxError> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let versions = versions.flatten().map(|version| version.path().join("bin"));
        let program = find("postgres", &versions.collect::<Vec<PathBuf>>())
            .ok_or("set DATABASE_URL, or install PostgreSQL (Debian's package postgresql)")?;
        // It refuses to be root.
        let user = User::instead_of_root(&["postgres", "nobody"]);
        let directory = user.directory();
        let made = user
            .command(program.with_file_name("initdb"))
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "--locale=C",
                "-E",
                "UTF8",
                "-D",
            ])
            .arg(directory.path().join("data"))
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
        let log = directory.path().join("log");
        fs::write(&log, "")?;
        user.give(&log);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut server = Self {
            port,
            program,
            user,
            settings: settings.iter().map(|set| format!("-c{set}")).collect(),
            process: None,
            directory,
        };
        server.run().await?;
        Ok(server)
    }

    /// Ends it as a crash would: it recovers from its log when it is run again.
    pub(super) fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("QUIT");
        }
    }

    /// Runs it again, and waits until it answers.
    pub(super) async fn run(&mut self) -> Result<(), BoxError> {
        let (directory, log) = (self.directory.path(), self.directory.path().join("log"));
        let mut args = vec![
            format!("-D{}", directory.join("data").display()),
            format!("-p{}", self.port),
            "-h127.0.0.1".to_owned(),
            format!("-k{}", directory.display()),
            "-N200".to_owned(),
        ];
        args.extend_from_slice(&self.settings);
        let process = Process::start(self.user, &self.program, &args, directory, "QUIT", &log);
        self.process = Some(process);
        let options: PgConnectOptions = self.url().parse()?;
        let answers = async {
            while options.connect().await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        match timeout(Duration::from_secs(60), answers).await {
            Ok(()) => Ok(()),
            Err(_) => Err(fs::read_to_string(log)?.into()),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}
