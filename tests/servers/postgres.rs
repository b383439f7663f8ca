//! PostgreSQL, and PgBouncer in front of it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, postgres::PgConnectOptions};
use tempfile::TempDir;

use super::{
    free_port, loopback,
    process::{Process, User, find},
    wrapped,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Whom it runs as.
fn user() -> User {
    User::instead_of_root(&["postgres", "nobody"])
}

/// The newest server that is installed.
fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort();
    let directories: Vec<PathBuf> = versions
        .into_iter()
        .rev()
        .map(|version| version.join("bin"))
        .collect();
    let server = find("postgres", &directories)?;
    Some(server.parent().unwrap().to_owned())
}

/// Why there is no PostgreSQL here, if so.
pub fn missing() -> Option<String> {
    match binaries() {
        Some(_) => None,
        None => Some("there is no PostgreSQL server (Debian's package postgresql)".to_owned()),
    }
}

/// Why there is no PgBouncer here, if so.
pub fn missing_bouncer() -> Option<String> {
    match find("pgbouncer", &[]) {
        Some(_) => missing(),
        None => Some("there is no PgBouncer (Debian's package pgbouncer)".to_owned()),
    }
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Its sessions are ended, and everything is written.
    Fast,
    /// As a crash: it recovers from its log when it is started again.
    Immediate,
}

/// A server with data of its own.
pub struct Postgres {
    port: u16,
    binaries: PathBuf,
    user: User,
    /// A command that starts it, if it is not started as it is.
    wrapper: Vec<String>,
    args: Vec<String>,
    process: Mutex<Option<Process>>,
    databases: AtomicU32,
    directory: TempDir,
}

impl Postgres {
    /// One for all tests of this process, with the settings that a server has by default.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// One of its own, with these settings.
    ///
    /// # Panics
    ///
    /// Where there is no PostgreSQL: ask [`missing`] before.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_under(&[], settings)
    }

    /// The same as the last argument of another program.
    pub fn start_under(wrapper: &[String], settings: &[(&str, &str)]) -> Self {
        Self::make(user().directory(), wrapper, settings)
    }

    /// The same with its data on this disk.
    pub fn start_on(disk: &Path, settings: &[(&str, &str)]) -> Self {
        user().give(disk);
        Self::make(user().directory_in(disk), &[], settings)
    }

    fn make(directory: TempDir, wrapper: &[String], settings: &[(&str, &str)]) -> Self {
        let (binaries, user) = (binaries().unwrap(), user());
        let data = directory.path().join("data");
        let made = user
            .command(binaries.join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--data-checksums", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self::start_in(binaries, directory, wrapper, settings)
    }

    /// One that streams from this one.
    pub fn standby(&self) -> Self {
        let directory = self.user.directory();
        let made = self
            .user
            .command(self.binaries.join("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream"])
            .args([
                "--checkpoint=fast",
                "--no-sync",
                "-p",
                &self.port.to_string(),
            ])
            .arg("-D")
            .arg(directory.path().join("data"))
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "pg_basebackup: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self::start_in(self.binaries.clone(), directory, &[], &[])
    }

    fn start_in(
        binaries: PathBuf,
        directory: TempDir,
        wrapper: &[String],
        settings: &[(&str, &str)],
    ) -> Self {
        let user = user();
        let log = directory.path().join("log");
        fs::write(&log, "").unwrap();
        user.give(&log);
        let data = directory.path().join("data");
        let port = free_port();
        let set = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        let mut args = vec!["-D".to_owned(), data.to_str().unwrap().to_owned()];
        args.extend(set("listen_addresses", "127.0.0.1"));
        args.extend(set("port", &port.to_string()));
        args.extend(set(
            "unix_socket_directories",
            directory.path().to_str().unwrap(),
        ));
        args.extend(set("max_connections", "200"));
        for (name, value) in settings {
            args.extend(set(name, value));
        }
        let server = Self {
            port,
            binaries,
            user,
            wrapper: wrapper.to_vec(),
            args,
            process: Mutex::default(),
            databases: AtomicU32::new(0),
            directory,
        };
        server.run();
        server
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The user that it runs as, and a directory that is his.
    pub fn user(&self) -> User {
        self.user
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        let file = self.directory.path().join("data/postmaster.pid");
        let text = fs::read_to_string(file).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// The processes that it has started.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let children = children.split_whitespace();
        children.map(|child| child.parse().unwrap()).collect()
    }

    /// A file among its data.
    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.path().join("data").join(path)
    }

    /// A connection to a database of this name.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        options(self.address(), database)
    }

    /// The URL of a database of this name.
    pub fn url(&self, database: &str) -> String {
        url(self.address(), database)
    }

    /// A database of its own, and its name.
    pub async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let mut conn = self.options("postgres").connect().await.unwrap();
        conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .unwrap();
        name
    }

    /// Stops it.
    pub fn stop(&self, how: Stop) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.stop(match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        });
    }

    /// Starts it again, and waits until it answers.
    pub fn run(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "it runs");
        let (program, args) = wrapped(&self.wrapper, self.binaries.join("postgres"), &self.args);
        let started = process.insert(Process::start(
            self.user,
            &program,
            &args,
            self.directory.path(),
            "QUIT",
            &self.log(),
        ));
        self.wait(started);
    }

    /// Stops it and starts it again, and waits until it answers.
    pub fn restart(&self, how: Stop) {
        self.stop(how);
        self.run();
    }

    fn wait(&self, process: &mut Process) {
        let start = Instant::now();
        loop {
            let ready = Command::new(self.binaries.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap();
            if ready.success() {
                return;
            }
            let waited = start.elapsed();
            let ended = waited > Duration::from_secs(1) && process.ended();
            if ended || waited > PATIENCE {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                panic!("PostgreSQL does not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.lock().unwrap().take() {
            process.stop("QUIT");
        }
    }
}

/// A connection to a database of this name at an address.
pub fn options(address: SocketAddr, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&address.ip().to_string())
        .port(address.port())
        .username("postgres")
        .password("unused")
        .database(database)
}

/// The URL of a database of this name at an address.
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://postgres:unused@{address}/{database}")
}

/// A PgBouncer in transaction mode.
pub struct Bouncer {
    port: u16,
    process: Option<Process>,
    _directory: TempDir,
}

impl Bouncer {
    /// In front of a server, with these lines in its configuration beside the usual ones.
    pub fn start(server: &Postgres, lines: &str) -> Self {
        let program = find("pgbouncer", &[]).unwrap();
        let user = User::instead_of_root(&["postgres", "nobody"]);
        let directory = user.directory();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            user.give(&path);
            path
        };
        let port = free_port();
        let users = write("users", "\"postgres\" \"unused\"\n");
        let log = write("log", "");
        // Whoever may be anybody is somebody in the database.
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {}\n\
             pool_mode = transaction\nignore_startup_parameters = extra_float_digits\nmax_client_conn = 200\ndefault_pool_size = 8\n{lines}\n",
            server.port,
            users.display(),
        );
        let config = write("config", &config);
        let args = [config.to_str().unwrap().to_owned()];
        let process = Process::start(user, &program, &args, directory.path(), "INT", &log);
        let bouncer = Self {
            port,
            process: Some(process),
            _directory: directory,
        };
        bouncer.wait(&log);
        bouncer
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    fn wait(&self, log: &Path) {
        let start = Instant::now();
        while std::net::TcpStream::connect(self.address()).is_err() {
            if start.elapsed() > PATIENCE {
                let log = fs::read_to_string(log).unwrap_or_default();
                panic!("PgBouncer does not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("KILL");
        }
    }
}
