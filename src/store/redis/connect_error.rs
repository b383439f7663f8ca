//! Why a server cannot be used.

use std::{error::Error as StdError, fmt};

use crate::{
    BoxError,
    store::{OpenError, OpenErrorKind},
};

/// Why a [`RedisStore`](super::RedisStore) cannot use a server.
///
/// It never holds the server's URL, which may hold a password.
#[derive(Debug)]
pub struct RedisConnectError {
    kind: RedisConnectErrorKind,
    detail: String,
    source: Option<BoxError>,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisConnectErrorKind {
    /// The URL or the name is of no use.
    Options,
    /// No server answers, or it does not let us in.
    Unreachable,
    /// The server would lose what it acknowledged. The error's text names every setting that is
    /// wrong, and what it has to be.
    Settings,
    /// The server does not tell its settings, as managed services do:
    /// [`DangerousRedisOptions::trust_hidden_settings`](super::DangerousRedisOptions::trust_hidden_settings).
    HiddenSettings,
    /// It is a replica, which takes no writes.
    Replica,
    /// It is too old: scripts with flags need Redis 7.0, and
    /// [`with_waitaof`](super::RedisOptions::with_waitaof) needs 7.2.
    Version,
    /// What is stored was written by a later version of this crate.
    NewerLayout,
}

impl RedisConnectError {
    pub(super) fn new(kind: RedisConnectErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
        }
    }

    pub(super) fn unreachable(source: impl Into<BoxError>) -> Self {
        Self::new(
            RedisConnectErrorKind::Unreachable,
            "the Redis server cannot be used",
        )
        .with_source(source)
    }

    pub(super) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, in the words of stores that are named by a URL.
    pub(in crate::store) fn into_open_error(self) -> OpenError {
        let kind = match self.kind {
            RedisConnectErrorKind::Options => OpenErrorKind::Invalid,
            RedisConnectErrorKind::Settings | RedisConnectErrorKind::HiddenSettings => {
                OpenErrorKind::NotDurable
            }
            RedisConnectErrorKind::NewerLayout => OpenErrorKind::NewerSchema,
            RedisConnectErrorKind::Unreachable
            | RedisConnectErrorKind::Replica
            | RedisConnectErrorKind::Version => OpenErrorKind::Io,
        };
        let error = OpenError::new(kind, self.detail);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    /// What is in the way.
    pub fn kind(&self) -> RedisConnectErrorKind {
        self.kind
    }
}

impl fmt::Display for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for RedisConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
