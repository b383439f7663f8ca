//! Redis: a server, or a cluster of three.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    free_port, loopback,
    process::{Process, User, find},
    wrapped,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Whom it runs as.
fn user() -> User {
    User::instead_of_root(&["redis", "nobody"])
}

fn binary() -> Option<PathBuf> {
    find("redis-server", &[])
}

/// Why there is no Redis here, if so.
pub fn missing() -> Option<String> {
    match binary() {
        Some(_) => None,
        None => Some("there is no redis-server (Debian's package redis-server)".to_owned()),
    }
}

/// What a server must be told to be a store.
const DURABLE: &[(&str, &str)] = &[
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
];

/// A server with data of its own.
pub struct Redis {
    port: u16,
    user: User,
    /// A command that starts it, if it is not started as it is.
    wrapper: Vec<String>,
    args: Vec<String>,
    process: Mutex<Option<Process>>,
    names: AtomicU32,
    directory: TempDir,
}

impl Redis {
    /// One for all tests of this process, which keeps what it acknowledges.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// One of its own, which keeps what it acknowledges, unless these settings say otherwise.
    ///
    /// # Panics
    ///
    /// Where there is no Redis: ask [`missing`] before.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::make(user().directory(), &[], settings)
    }

    /// The same as the last argument of another program.
    pub fn start_under(wrapper: &[String]) -> Self {
        Self::make(user().directory(), wrapper, &[])
    }

    /// The same with its data on this disk.
    pub fn start_on(disk: &Path) -> Self {
        user().give(disk);
        Self::make(user().directory_in(disk), &[], &[])
    }

    fn make(directory: TempDir, wrapper: &[String], settings: &[(&str, &str)]) -> Self {
        let server = Self::prepare(directory, wrapper, settings);
        server.run();
        server
    }

    fn prepare(directory: TempDir, wrapper: &[String], settings: &[(&str, &str)]) -> Self {
        let user = user();
        let port = free_port();
        let log = directory.path().join("log");
        fs::write(&log, "").unwrap();
        user.give(&log);
        let dir = directory.path().to_str().unwrap().to_owned();
        let port_text = port.to_string();
        let common = [
            ("port", port_text.as_str()),
            ("bind", "127.0.0.1"),
            ("dir", dir.as_str()),
            ("save", ""),
        ];
        let mut args = Vec::new();
        for (name, value) in common.iter().chain(DURABLE).chain(settings) {
            args.push(format!("--{name}"));
            // A command that is renamed has two values.
            match value.split_once(' ') {
                Some((first, second)) => args.extend([first.to_owned(), second.to_owned()]),
                None => args.push((*value).to_owned()),
            }
        }
        Self {
            port,
            user,
            wrapper: wrapper.to_vec(),
            args,
            process: Mutex::default(),
            names: AtomicU32::new(0),
            directory,
        }
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub fn url(&self) -> String {
        url(self.address())
    }

    /// A name that no other store on this server has.
    pub fn name(&self) -> String {
        format!("test-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a command, and gives its answer as it came.
    pub fn command(&self, words: &[&str]) -> String {
        command(self.address(), words)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends it, as `kill -9` would.
    pub fn kill(&self) {
        self.stop("KILL");
    }

    /// Ends it in order.
    pub fn stop(&self, signal: &str) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.stop(signal);
    }

    /// Starts it again, and waits until it answers.
    pub fn run(&self) {
        if let Err(log) = self.try_run() {
            panic!("Redis does not start: {log}");
        }
    }

    /// The same, or what it wrote down if it does not start.
    pub fn try_run(&self) -> Result<(), String> {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "it runs");
        let (program, args) = wrapped(&self.wrapper, binary().unwrap(), &self.args);
        let log = self.directory.path().join("log");
        let mut started = Process::start(
            self.user,
            &program,
            &args,
            self.directory.path(),
            "KILL",
            &log,
        );
        let start = Instant::now();
        while !answers(self.address()) {
            let waited = start.elapsed();
            if waited > PATIENCE || waited > Duration::from_secs(1) && started.ended() {
                started.stop("KILL");
                return Err(self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *process = Some(started);
        Ok(())
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        let info = self.command(&["INFO", "server"]);
        let mut lines = info.lines();
        let pid = lines.find_map(|line| line.strip_prefix("process_id:"));
        pid.unwrap().trim().parse().unwrap()
    }

    /// A file among its data.
    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let process = self
            .process
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.take() {
            process.stop("KILL");
        }
    }
}

/// Three servers that share the slots.
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// # Panics
    ///
    /// Where there is no Redis: ask [`missing`] before.
    pub fn start() -> Self {
        let start = || {
            let bus = free_port().to_string();
            let settings = [
                ("cluster-port", bus.as_str()),
                ("cluster-enabled", "yes"),
                ("cluster-node-timeout", "2000"),
                // What one node has is there without the others.
                ("cluster-require-full-coverage", "no"),
            ];
            let node = Redis::start(&settings);
            (node, bus)
        };
        let (nodes, buses): (Vec<Redis>, Vec<String>) = (0..3).map(|_| start()).unzip();
        let bounds = [0, 5461, 10_923, 16_384];
        for (index, node) in nodes.iter().enumerate() {
            let first = bounds[index].to_string();
            let last = (bounds[index + 1] - 1).to_string();
            node.ok(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            node.ok(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for node in &nodes[1..] {
            let port = nodes[0].port.to_string();
            node.ok(&["CLUSTER", "MEET", "127.0.0.1", &port, &buses[0]]);
        }
        let cluster = Self { nodes };
        cluster.wait("every node knows all slots", |node| {
            let info = node.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
                && info.contains("cluster_known_nodes:3")
                && info.contains("cluster_slots_ok:16384")
        });
        cluster
    }

    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The slot of a key, and the node that has it.
    pub fn owner(&self, key: &str) -> (u16, &Redis) {
        let answer = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]);
        let slot: u16 = answer.trim().trim_start_matches(':').parse().unwrap();
        let bounds = [5461, 10_923, 16_384];
        let index = bounds.iter().position(|bound| slot < *bound).unwrap();
        (slot, &self.nodes[index])
    }

    /// Hands a slot with all its keys to another node.
    pub fn move_slot(slot: u16, from: &Redis, to: &Redis) {
        let id = |node: &Redis| {
            let answer = node.command(&["CLUSTER", "MYID"]);
            answer.lines().nth(1).unwrap().trim().to_owned()
        };
        let slot = slot.to_string();
        to.ok(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.ok(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        let port = to.port.to_string();
        loop {
            let keys = command_bytes(
                from.address(),
                &[b"CLUSTER", b"GETKEYSINSLOT", slot.as_bytes(), b"100"],
            );
            let keys = bulks(&keys);
            if keys.is_empty() {
                break;
            }
            let mut words: Vec<&[u8]> = vec![
                b"MIGRATE",
                b"127.0.0.1",
                port.as_bytes(),
                b"",
                b"0",
                b"10000",
                b"KEYS",
            ];
            words.extend(keys.iter().map(Vec::as_slice));
            let answer = command_bytes(from.address(), &words);
            assert!(answer.starts_with(b"+OK"), "{}", answer.escape_ascii());
        }
        for node in [to, from] {
            node.ok(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
    }

    fn wait(&self, what: &str, done: impl Fn(&Redis) -> bool) {
        let start = Instant::now();
        while !self.nodes.iter().all(&done) {
            assert!(start.elapsed() < PATIENCE, "not: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Redis {
    /// Sends a command that has to succeed.
    pub fn ok(&self, words: &[&str]) {
        let answer = self.command(words);
        assert!(answer.starts_with("+OK"), "{words:?}: {answer}");
    }
}

pub fn url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

fn answers(address: SocketAddr) -> bool {
    // While it loads, it says so.
    let answer = command(address, &["PING"]);
    answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")
}

fn command(address: SocketAddr, words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    String::from_utf8_lossy(&command_bytes(address, &words)).into_owned()
}

/// One command on a connection of its own, so that the end of the answer is the end of it.
fn command_bytes(address: SocketAddr, words: &[&[u8]]) -> Vec<u8> {
    let mut request = Vec::new();
    for words in [words, &[&b"QUIT"[..]]] {
        write!(request, "*{}\r\n", words.len()).unwrap();
        for word in words {
            write!(request, "${}\r\n", word.len()).unwrap();
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
    }
    let mut answer = Vec::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request)?;
        stream.read_to_end(&mut answer)
    });
    if let Err(error) = asked {
        return format!("-{error}").into_bytes();
    }
    answer.truncate(answer.len().saturating_sub(b"+OK\r\n".len()));
    answer
}

/// The bulk strings of an array.
fn bulks(mut answer: &[u8]) -> Vec<Vec<u8>> {
    let mut bulks = Vec::new();
    while let Some(end) = answer.windows(2).position(|two| two == b"\r\n") {
        let (line, rest) = (&answer[..end], &answer[end + 2..]);
        answer = rest;
        if let Some(len) = line.strip_prefix(b"$") {
            let len: usize = std::str::from_utf8(len).unwrap().parse().unwrap();
            bulks.push(rest[..len].to_vec());
            answer = &rest[len + 2..];
        }
    }
    bulks
}
