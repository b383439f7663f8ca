//! Where receivers live, and how they are started and killed.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{fs::chown, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection, query, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tower_callback::store::{Counts, Inspect, Queue, SqliteStore};

use super::{ENDPOINT, Line, Mode, PATH, Phase, Reply, SECRET, Setup, post};

/// Directories and a socket. The socket belongs to the test, so that the port stays the same, and
/// nobody else's, while receivers come and go.
pub struct Place {
    /// Of the database.
    dir: PathBuf,
    /// Of everything else.
    notes: TempDir,
    _owned: Option<TempDir>,
    socket: TcpListener,
    program: PathBuf,
    user: Option<u32>,
}

impl Place {
    pub fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        let mut place = Self::at(owned.path());
        place._owned = Some(owned);
        place
    }

    /// In a directory that somebody else removes.
    pub fn at(dir: &Path) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            dir: dir.to_owned(),
            notes: tempfile::tempdir().unwrap(),
            _owned: None,
            socket,
            program: std::env::current_exe().unwrap(),
            user: None,
        }
    }

    /// Lets receivers run as another user, who has no more rights than the files give him.
    pub fn with_user(mut self, user: u32) -> Self {
        // What cargo has built may be closed to others.
        let copy = self.note("receiver");
        fs::copy(&self.program, &copy).unwrap();
        for path in [&self.dir, self.notes.path(), &copy] {
            chown(path, Some(user), Some(user)).unwrap();
        }
        self.program = copy;
        self.user = Some(user);
        self
    }

    /// Behind a spool, the store is away from now on.
    pub fn setup(&self, mode: Mode) -> Setup {
        let setup = Setup::new(self.database(), self.notes.path().to_owned(), mode);
        if mode == Mode::Spooled {
            fs::write(setup.away(), "").unwrap();
        }
        setup
    }

    /// Lets the store behind a spool be back, if there is a spool.
    pub fn end_outage(&self) {
        let _ = fs::remove_file(self.setup(Mode::Own).away());
    }

    /// Where everything is in the end: in the database, or in the store behind a spool.
    pub fn last_store(&self) -> PathBuf {
        let engine = self.setup(Mode::Own).engine();
        match engine.exists() {
            true => engine,
            false => self.database(),
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn note(&self, name: &str) -> PathBuf {
        self.notes.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.file("callbacks.db")
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}{PATH}?token={SECRET}", self.address())
    }

    /// Sends a callback. Without a receiver it waits in the socket's queue.
    pub fn post(&self, body: &[u8]) -> Reply {
        post(self.address(), body).unwrap()
    }

    pub fn start(&self, setup: &Setup) -> Receiver {
        self.start_under(&[], setup)
    }

    /// Starts a receiver as the last argument of another program.
    pub fn start_under(&self, wrapper: &[String], setup: &Setup) -> Receiver {
        self.spawn(wrapper, setup.variable(), setup.phase())
    }

    /// Starts this program again, which is told by a variable what it is to be, and tells its phase.
    pub fn spawn(
        &self,
        wrapper: &[String],
        (name, value): (&str, String),
        phase: PathBuf,
    ) -> Receiver {
        // What the one before told of itself is over.
        let _ = fs::remove_file(&phase);
        let mut command = match wrapper {
            [] => Command::new(&self.program),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        let socket = OwnedFd::from(self.socket.try_clone().unwrap());
        command.env(name, value).stdin(socket);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        Receiver {
            child: Some(command.spawn().unwrap()),
            is_below: !wrapper.is_empty(),
            phase,
        }
    }

    /// What handlers did, from a position on, and where that ends.
    pub fn journal_from(&self, position: usize) -> (Vec<Line>, usize) {
        Line::read(&self.note("journal"), position)
    }

    pub fn journal(&self) -> Vec<Line> {
        self.journal_from(0).0
    }

    /// Copies the database as it is on disk. Looking into the original would change it.
    pub fn copy(&self, to: &Path) {
        for suffix in ["", "-wal"] {
            let from = self.file(&format!("callbacks.db{suffix}"));
            let to = to.join(format!("callbacks.db{suffix}"));
            match fs::copy(&from, &to) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", from.display()),
            }
        }
    }
}

/// The store of a database, in this process.
pub async fn open(database: &Path) -> SqliteStore {
    let options = SqliteStore::options().with_reserve(0);
    options.open(database).await.unwrap()
}

pub fn events() -> Queue {
    Queue::events(ENDPOINT)
}

pub async fn counts(store: &SqliteStore) -> Counts {
    store.counts(&events()).await.unwrap()
}

/// A connection that is nobody's but the test's.
pub async fn connect(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    options.connect().await.unwrap()
}

/// `ok`, or what is wrong with the file.
pub async fn integrity(database: &Path) -> String {
    let mut conn = connect(database).await;
    let row = query("PRAGMA integrity_check").fetch_one(&mut conn).await;
    let answer = row.unwrap().get(0);
    conn.close().await.unwrap();
    answer
}

/// Waits for something that another process does; a minute is for ever.
pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: never");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A process that receives. It is killed when this is dropped.
pub struct Receiver {
    child: Option<Child>,
    /// Whether what was started is a program above it.
    is_below: bool,
    phase: PathBuf,
}

impl Receiver {
    /// What it is doing, or was doing when it ended.
    pub fn phase(&self) -> Phase {
        Phase::read(&self.phase)
    }

    /// Waits until it serves.
    pub fn serving(&self) -> u32 {
        wait_for("the receiver serves", || self.phase().pid != 0);
        self.phase().pid
    }

    /// Whether it has ended by itself, which one that was started under nothing can.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    /// Stops one that was started under nothing where it is, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it, and waits until it and what it was started under have ended.
    pub fn kill(mut self) -> Phase {
        self.end();
        self.phase()
    }

    fn end(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        match i32::try_from(self.phase().pid).ok().and_then(Pid::from_raw) {
            // The program above notices that, and ends.
            Some(pid) if self.is_below => {
                let _ = kill_process(pid, Signal::KILL);
            }
            _ => child.kill().unwrap(),
        }
        child.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.end();
    }
}
