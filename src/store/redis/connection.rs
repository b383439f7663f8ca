//! Connections: proven before use, given up at the first doubt, made anew by the next call.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    ServerErrorKind, Value, aio::MultiplexedConnection,
};

use super::{
    connect_error::{RedisConnectError, RedisConnectErrorKind},
    scripts::{Arg, CHECK, Text},
    settings,
};
use crate::store::StoreError;

/// How often one call follows a cluster that sends it elsewhere.
const MAX_REDIRECTS: usize = 5;

/// A call that is dropped after this long was waiting for an answer that did not come.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// How to reach the server that has the store's slot.
pub(super) struct Servers {
    nodes: Vec<ConnectionInfo>,
    /// Where a cluster said that the slot is.
    moved_to: Mutex<Option<ConnectionInfo>>,
    config: AsyncConnectionConfig,
    /// How often a connection was lost: with one, all are given up.
    lost: AtomicU64,
    pub(super) base: String,
    pub(super) response_timeout: Duration,
    waitaof: Option<u32>,
    trust_hidden: bool,
}

/// What connecting needs to know.
pub(super) struct Terms {
    pub(super) base: String,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) waitaof: Option<u32>,
    pub(super) trust_hidden: bool,
}

/// One connection at a time, for calls that may be under way together.
#[derive(Default)]
pub(super) struct Lane {
    live: Mutex<Option<Live>>,
    /// Held while connecting; counts the connections.
    connecting: tokio::sync::Mutex<u64>,
}

#[derive(Clone)]
pub(super) struct Live {
    conn: MultiplexedConnection,
    /// Which connection of the lane it is.
    generation: u64,
    /// How many the servers had lost when it was made.
    lost: u64,
}

/// Gives a connection up when the call is dropped that has waited for long.
struct Doubt<'a> {
    lane: &'a Lane,
    generation: u64,
    since: Option<Instant>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self
            .since
            .is_some_and(|since| since.elapsed() >= SUSPICIOUS)
        {
            self.lane.give_up(self.generation);
        }
    }
}

impl Lane {
    fn live(&self, servers: &Servers) -> Option<Live> {
        let lost = servers.lost.load(Ordering::Relaxed);
        self.lock().clone().filter(|live| live.lost == lost)
    }

    fn give_up(&self, generation: u64) {
        let mut live = self.lock();
        if live
            .as_ref()
            .is_some_and(|live| live.generation == generation)
        {
            *live = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection there is, or a new one.
    async fn connection(&self, servers: &Servers) -> Result<Live, RedisConnectError> {
        if let Some(live) = self.live(servers) {
            return Ok(live);
        }
        let mut generation = self.connecting.lock().await;
        if let Some(live) = self.live(servers) {
            return Ok(live);
        }
        let lost = servers.lost.load(Ordering::Relaxed);
        let conn = servers.connect().await?;
        *generation += 1;
        let live = Live {
            conn,
            generation: *generation,
            lost,
        };
        *self.lock() = Some(live.clone());
        Ok(live)
    }

    /// Connects, if it has not.
    pub(super) async fn prove(&self, servers: &Servers) -> Result<(), RedisConnectError> {
        self.connection(servers).await.map(drop)
    }

    /// Runs a script. Only what the server did not begin to run is sent a second time.
    pub(super) async fn run(
        &self,
        servers: &Servers,
        script: &Text,
        args: &[Arg<'_>],
    ) -> Result<Value, RunError> {
        let (_, answer) = self.run_on_one(servers, script, args).await?;
        Ok(answer)
    }

    /// The same, and the connection that had the answer.
    pub(super) async fn run_on_one(
        &self,
        servers: &Servers,
        script: &Text,
        args: &[Arg<'_>],
    ) -> Result<(Live, Value), RunError> {
        let mut cmd = script.by_hash(&servers.base, args);
        let mut redirects = 0;
        loop {
            let live = self.connection(servers).await.map_err(RunError::Connect)?;
            let error = match self.call(servers, &live, &cmd).await {
                Ok(value) => return Ok((live, value)),
                Err(RunError::Server(error)) => error,
                Err(error) => return Err(error),
            };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::NoScript) => {
                    cmd = script.in_full(&servers.base, args);
                }
                ErrorKind::Server(ServerErrorKind::Moved) if redirects < MAX_REDIRECTS => {}
                _ => return Err(RunError::Server(error)),
            }
            redirects += 1;
            if redirects > MAX_REDIRECTS {
                return Err(RunError::Server(error));
            }
        }
    }

    /// Sends a command. A connection on which anything went wrong, other than what the script
    /// itself said, is not used again.
    async fn call(&self, servers: &Servers, live: &Live, cmd: &Cmd) -> Result<Value, RunError> {
        let (generation, lost) = (live.generation, live.lost);
        let mut conn = live.conn.clone();
        let mut doubt = Doubt {
            lane: self,
            generation,
            since: Some(Instant::now()),
        };
        let answer = conn.send_packed_command(cmd).await;
        let answer = answer.and_then(Value::extract_error);
        doubt.since = None;
        answer.map_err(|error| {
            if !leaves_connection_whole(&error) {
                self.give_up(generation);
                // One may be slow while the others are not.
                if !error.is_timeout() {
                    servers.lost_one_of(lost);
                }
            }
            RunError::Server(error)
        })
    }

    /// Waits until what this very connection wrote is in the append-only file here and on
    /// replicas. The server knows of each connection what it wrote: another one, which wrote nothing
    /// yet, would be told at once that all of it is there.
    pub(super) async fn wait_for_replicas(
        &self,
        servers: &Servers,
        wrote: &Live,
    ) -> Result<(), StoreError> {
        let Some(replicas) = servers.waitaof else {
            return Ok(());
        };
        // Sooner than the client gives up, so that the connection is kept.
        let patience = servers.response_timeout.mul_f32(0.9).as_millis().max(1);
        let mut cmd = redis::cmd("WAITAOF");
        cmd.arg(1)
            .arg(replicas)
            .arg(u64::try_from(patience).unwrap_or(u64::MAX));
        let answer = self.call(servers, wrote, &cmd).await;
        let answer = answer.map_err(StoreError::from)?;
        let answer: Vec<Option<u32>> =
            redis::from_redis_value(answer).map_err(StoreError::unavailable)?;
        let reached = |index: usize| answer.get(index).copied().flatten().unwrap_or(0);
        if reached(0) >= 1 && reached(1) >= replicas {
            Ok(())
        } else {
            Err(StoreError::unavailable(
                "too few replicas have it in their append-only files",
            ))
        }
    }
}

impl Servers {
    pub(super) fn new(nodes: Vec<ConnectionInfo>, terms: Terms) -> Self {
        Self {
            nodes,
            moved_to: Mutex::default(),
            lost: AtomicU64::new(0),
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(terms.connect_timeout))
                .set_response_timeout(Some(terms.response_timeout)),
            base: terms.base,
            response_timeout: terms.response_timeout,
            waitaof: terms.waitaof,
            trust_hidden: terms.trust_hidden,
        }
    }

    /// A server that ended, or is no longer the one to write to, is so for the other connections too,
    /// where nobody may have noticed it: one failed call is enough. Once for all that were made before.
    fn lost_one_of(&self, lost: u64) {
        let _ = self
            .lost
            .compare_exchange(lost, lost + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn waits(&self) -> bool {
        self.waitaof.is_some()
    }

    /// Where to look for the slot, the likeliest first.
    pub(super) fn candidates(&self) -> Vec<ConnectionInfo> {
        let moved = self.moved_to.lock().unwrap_or_else(PoisonError::into_inner);
        moved.iter().chain(&self.nodes).cloned().collect()
    }

    /// A connection to the server that has the slot, proven.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisConnectError> {
        let mut first_error = None;
        let mut candidates = self.candidates();
        // The first that is tried is the last in line.
        candidates.reverse();
        let mut redirects = 0;
        while let Some(node) = candidates.pop() {
            match self.open(node).await {
                Ok(conn) => return Ok(conn),
                Err(Attempt::Moved(to)) if redirects < MAX_REDIRECTS => {
                    redirects += 1;
                    *self.moved_to.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(to.clone());
                    candidates.push(to);
                }
                Err(Attempt::Moved(_)) => {}
                Err(Attempt::Failed(error)) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| {
            RedisConnectError::unreachable("no node of the cluster has the store's slot")
        }))
    }

    async fn open(&self, node: ConnectionInfo) -> Result<MultiplexedConnection, Attempt> {
        prepare_tls(&node);
        let client = Client::open(node.clone()).map_err(RedisConnectError::unreachable)?;
        let mut conn = client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await
            .map_err(RedisConnectError::unreachable)?;
        let check = CHECK.in_full(&self.base, &[]);
        if let Err(error) = check.query_async::<Value>(&mut conn).await {
            let target = error.redirect_node().filter(|_| is_moved(&error));
            return Err(match target.and_then(|(to, _)| elsewhere(&node, to)) {
                Some(to) => Attempt::Moved(to),
                None => Attempt::Failed(explain(error)),
            });
        }
        settings::check(&mut conn, self.trust_hidden).await?;
        if self.waits() {
            check_waitaof(&mut conn).await?;
        }
        Ok(conn)
    }
}

enum Attempt {
    Moved(ConnectionInfo),
    Failed(RedisConnectError),
}

impl From<RedisConnectError> for Attempt {
    fn from(error: RedisConnectError) -> Self {
        Self::Failed(error)
    }
}

fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// Why the first script cannot run.
fn explain(error: RedisError) -> RedisConnectError {
    if error.code() == Some("LAYOUT") {
        return RedisConnectError::new(
            RedisConnectErrorKind::NewerLayout,
            "what is stored was written by a later version of this crate",
        );
    }
    // Servers before 7.0 take the line with the flags for a part of the script.
    if error
        .detail()
        .is_some_and(|text| text.contains("near '#'") || text.contains("symbol near"))
    {
        return RedisConnectError::new(
            RedisConnectErrorKind::Version,
            "the server is too old: scripts with flags need Redis 7.0",
        )
        .with_source(error);
    }
    RedisConnectError::unreachable(error)
}

async fn check_waitaof(conn: &mut MultiplexedConnection) -> Result<(), RedisConnectError> {
    let mut cmd = redis::cmd("WAITAOF");
    cmd.arg(0).arg(0).arg(1);
    match cmd.query_async::<Value>(conn).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
            Err(RedisConnectError::new(
                RedisConnectErrorKind::Version,
                "the server does not know `WAITAOF`: it needs Redis 7.2",
            )
            .with_source(error))
        }
        Err(error) => Err(RedisConnectError::unreachable(error)),
    }
}

/// The node at `host:port` of the cluster that `node` is one of, reached in the same way. Without a
/// host, it is another port of the same one.
fn elsewhere(node: &ConnectionInfo, target: &str) -> Option<ConnectionInfo> {
    let (host, port) = target.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = host.trim_matches(['[', ']']);
    let named = |known: &str| if host.is_empty() { known } else { host }.to_owned();
    let addr = match node.addr() {
        ConnectionAddr::Tcp(known, _) => ConnectionAddr::Tcp(named(known), port),
        ConnectionAddr::TcpTls {
            host: known,
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: named(known),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => return None,
    };
    Some(node.clone().set_addr(addr))
}

/// The client takes the process's provider of cryptography, and panics where several are compiled in
/// and none was chosen. What the user chose stays.
pub(super) fn prepare_tls(node: &ConnectionInfo) {
    if matches!(node.addr(), ConnectionAddr::TcpTls { .. })
        && rustls::crypto::CryptoProvider::get_default().is_none()
    {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

/// Why a script did not answer.
pub(super) enum RunError {
    Connect(RedisConnectError),
    Server(RedisError),
}

impl RunError {
    /// Memory is used up.
    pub(super) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some("OOM"))
    }
}

impl From<RunError> for StoreError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Connect(error) => Self::unavailable(error),
            RunError::Server(error) if error.code() == Some("SAMEHASH") => Self::rejected(error),
            RunError::Server(error) => Self::unavailable(error),
        }
    }
}

/// What a script answered, or could not begin with, says nothing against the connection. Everything
/// else does: one that timed out, and a server that is not, or is no longer, the one to write to.
fn leaves_connection_whole(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(kind, ServerErrorKind::NoScript),
        ErrorKind::Extension => matches!(error.code(), Some("OOM" | "SAMEHASH")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Says that here and on one replica all of it is on disk, as a server does on a connection that
    /// wrote nothing; or is gone when it is asked.
    async fn serve(mut stream: TcpStream, is_gone: bool) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = stream.read(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes[..len]);
            let commands = text.lines().filter(|line| line.starts_with('*')).count();
            let answer = match text.contains("WAITAOF") {
                true if is_gone => return,
                true => "*2\r\n:1\r\n:1\r\n".to_owned(),
                false => "+OK\r\n".repeat(commands),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    async fn connected(generation: u64, is_gone: bool) -> (ConnectionInfo, Live) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, is_gone));
            }
        });
        let node = url.into_connection_info().unwrap();
        let client = Client::open(node.clone()).unwrap();
        let live = Live {
            conn: client.get_multiplexed_async_connection().await.unwrap(),
            generation,
            lost: 0,
        };
        (node, live)
    }

    #[tokio::test]
    async fn only_the_connection_that_wrote_can_tell_that_replicas_have_it() {
        let (_, gone) = connected(1, true).await;
        let (node, here) = connected(2, false).await;
        let timeout = Duration::from_secs(60);
        let terms = Terms {
            base: "base".to_owned(),
            connect_timeout: timeout,
            response_timeout: timeout,
            waitaof: Some(1),
            trust_hidden: true,
        };
        let servers = Servers::new(vec![node], terms);
        let lane = Lane::default();
        *lane.lock() = Some(here.clone());
        let error = lane.wait_for_replicas(&servers, &gone).await.unwrap_err();
        assert_eq!(error.kind(), crate::store::StoreErrorKind::Unavailable);
        lane.wait_for_replicas(&servers, &here).await.unwrap();
    }

    #[test]
    fn another_node_is_reached_in_the_same_way() {
        let node = "redis://user:secret@10.0.0.1:7000"
            .into_connection_info()
            .unwrap();
        let to = elsewhere(&node, "10.0.0.2:7001").unwrap();
        assert_eq!(to.addr(), &ConnectionAddr::Tcp("10.0.0.2".into(), 7001));
        assert_eq!(to.redis_settings().password(), Some("secret"));
        let to = elsewhere(&node, ":7002").unwrap();
        assert_eq!(to.addr(), &ConnectionAddr::Tcp("10.0.0.1".into(), 7002));
        let to = elsewhere(&node, "[::1]:7003").unwrap();
        assert_eq!(to.addr(), &ConnectionAddr::Tcp("::1".into(), 7003));
        assert!(elsewhere(&node, "nonsense").is_none());
    }
}
