//! A PostgreSQL of our own, from the machine's binaries. Nothing is left of it at the end.

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
    process: Option<Process>,
    _directory: TempDir,
}

impl Postgres {
    /// Makes a server, and waits until it answers.
    pub(super) async fn start() -> Result<Self, BoxError> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let versions = versions.flatten().map(|version| version.path().join("bin"));
        let program = find("postgres", &versions.collect::<Vec<PathBuf>>())
            .ok_or("set DATABASE_URL, or install PostgreSQL (Debian's package postgresql)")?;
        // It refuses to be root.
        let user = User::instead_of_root(&["postgres", "nobody"]);
        let directory = user.directory();
        let data = directory.path().join("data");
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
            .arg(&data)
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
        let args = [
            format!("-D{}", data.display()),
            format!("-p{port}"),
            "-h127.0.0.1".to_owned(),
            format!("-k{}", directory.path().display()),
            "-N200".to_owned(),
        ];
        let process = Process::start(user, &program, &args, directory.path(), "QUIT", &log);
        let server = Self {
            port,
            process: Some(process),
            _directory: directory,
        };
        let options: PgConnectOptions = server.url().parse()?;
        let answers = async {
            while options.connect().await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        match timeout(Duration::from_secs(30), answers).await {
            Ok(()) => Ok(server),
            Err(_) => Err(fs::read_to_string(log)?.into()),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("QUIT");
        }
    }
}
