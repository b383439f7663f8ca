//! What can be chosen about a store.

use std::{fmt, time::Duration};

use redis::{Client, ConnectionInfo, IntoConnectionInfo};

use super::{
    RedisStore,
    connect_error::{RedisConnectError, RedisConnectErrorKind},
    connection::{Servers, Terms},
};

/// Options of a [`RedisStore`], from [`RedisStore::options`].
#[derive(Clone)]
pub struct RedisOptions {
    name: String,
    nodes: Vec<String>,
    connect_timeout: Duration,
    response_timeout: Duration,
    waitaof: Option<u32>,
    trust_hidden: bool,
    pub(super) capacity: u64,
    pub(super) quarantine: u64,
    pub(super) wake_up: bool,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            name: "tower-callback".to_owned(),
            nodes: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            waitaof: None,
            trust_hidden: false,
            capacity: u64::MAX,
            quarantine: 10_000,
            wake_up: true,
        }
    }
}

impl RedisOptions {
    /// The store's name: `tower-callback` by default. Stores of one name on one server are the same
    /// store. All keys begin with it, in braces: it is the hash tag that puts a store into one slot of a
    /// cluster. To spread load over a cluster's nodes, give endpoints stores of their own.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Another node of the same cluster, asked where the first does not answer. One node is
    /// enough to find all others while it is there.
    #[must_use]
    pub fn with_node(mut self, url: impl Into<String>) -> Self {
        self.nodes.push(url.into());
        self
    }

    /// How long to wait for a connection: 5 s by default, half of the default deadline for an answer.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to wait for the server's answer to a call: 10 s by default, as long as a callback's
    /// default [ack deadline](crate::Callbacks::ack_deadline). Give it the same as that. (The
    /// client's own default is half a second, in which a disk may not sync.)
    #[must_use]
    pub fn with_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Acknowledges an insert only when it is in the append-only file of the server and of this
    /// many replicas (`WAITAOF`, from Redis 7.2 on). Otherwise, a replica that takes over
    /// may lack what was acknowledged last.
    ///
    /// While too few replicas are there, inserts are unavailable. Settlements do not wait: after a
    /// replica took over, what was done last may be handled again.
    #[must_use]
    pub fn with_waitaof(mut self, replicas: u32) -> Self {
        self.waitaof = Some(replicas);
        self
    }

    /// How many records may be pending or leased before new ones are refused: only the server's
    /// `maxmemory` limits them by default.
    #[must_use]
    pub fn with_capacity(mut self, records: u64) -> Self {
        self.capacity = records;
        self
    }

    /// How many records each quarantine keeps before it drops its oldest: 10,000 by default. With 0,
    /// none.
    #[must_use]
    pub fn with_quarantine(mut self, records: u64) -> Self {
        self.quarantine = records;
        self
    }

    /// Whether workers are told of inserts of other processes, over a connection for each queue.
    /// They are by default; otherwise, and while that connection is down, they find out when they
    /// next ask.
    #[must_use]
    pub fn with_wake_up(mut self, wake_up: bool) -> Self {
        self.wake_up = wake_up;
        self
    }

    /// Options that can lose what was acknowledged.
    #[must_use]
    pub fn dangerous(self) -> DangerousRedisOptions {
        DangerousRedisOptions(self)
    }

    /// Connects to a server, or to the cluster that it is a node of: `redis://host:port`, or
    /// `rediss://` for TLS.
    ///
    /// # Errors
    ///
    /// See [`RedisConnectErrorKind`](super::RedisConnectErrorKind).
    pub async fn connect(self, url: impl AsRef<str>) -> Result<RedisStore, RedisConnectError> {
        let node = parse(url.as_ref())?;
        self.connect_to(node).await
    }

    /// Connects to the server of a client of yours, which may bring certificates of its own for TLS.
    ///
    /// # Errors
    ///
    /// See [`RedisConnectErrorKind`](super::RedisConnectErrorKind).
    pub async fn connect_client(self, client: &Client) -> Result<RedisStore, RedisConnectError> {
        self.connect_to(client.get_connection_info().clone()).await
    }

    async fn connect_to(self, node: ConnectionInfo) -> Result<RedisStore, RedisConnectError> {
        if self.name.is_empty() || self.name.contains(['{', '}']) {
            return Err(RedisConnectError::new(
                RedisConnectErrorKind::Options,
                "the name of a store is not empty, and has no braces",
            ));
        }
        let mut nodes = vec![node];
        for url in &self.nodes {
            nodes.push(parse(url)?);
        }
        let terms = Terms {
            base: format!("{{{}}}:", self.name),
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            waitaof: self.waitaof,
            trust_hidden: self.trust_hidden,
        };
        RedisStore::open(Servers::new(nodes, terms), self).await
    }
}

fn parse(url: &str) -> Result<ConnectionInfo, RedisConnectError> {
    // Without the source, which may quote the URL.
    url.into_connection_info().map_err(|_| {
        RedisConnectError::new(
            RedisConnectErrorKind::Options,
            "the URL is none of a Redis server: `redis://host:port` or `rediss://host:port`",
        )
    })
}

/// Without the URLs, which may hold passwords.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("name", &self.name)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("waitaof", &self.waitaof)
            .field("trust_hidden", &self.trust_hidden)
            .field("capacity", &self.capacity)
            .field("quarantine", &self.quarantine)
            .field("wake_up", &self.wake_up)
            .finish_non_exhaustive()
    }
}

/// Options that can lose what was acknowledged, from [`RedisOptions::dangerous`].
#[derive(Clone, Debug)]
pub struct DangerousRedisOptions(RedisOptions);

impl DangerousRedisOptions {
    /// Uses a server that does not tell its settings, as managed services do.
    ///
    /// # Security
    ///
    /// Nobody checks then that what is acknowledged is on a disk: the service has to promise
    /// it in a way of its own (as one with a durable log does). A setting that is told and wrong is
    /// refused all the same.
    #[must_use]
    pub fn trust_hidden_settings(self) -> RedisOptions {
        let Self(mut options) = self;
        options.trust_hidden = true;
        options
    }
}
