//! The engine that fronts and workers share, and what the test itself sees of it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sqlx::{PgPool, raw_sql};
use tokio::time::sleep;
use tower_callback::{
    RedisStore,
    store::{AnyStore, Counts, Found, Inspect, PostgresStore, Queue, Store},
};

use crate::{
    role::{self, ENDPOINT},
    servers::{
        postgres::{self, Postgres, Stop},
        redis::{self, Redis},
    },
    worker,
};

/// What is never reached if all goes right.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which engine a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// Why it cannot be started here, if so.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Postgres => postgres::missing(),
            Self::Redis => redis::missing(),
        }
    }
}

/// A server of its own, with the settings that servers have by default, as far as a store takes them.
pub(crate) enum Server {
    Postgres(Box<Postgres>),
    Redis(Box<Redis>),
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Postgres => {
                let server = Postgres::start(&[]);
                let url = server.url("postgres");
                let (_, pool) = worker::postgres(&url).await;
                // Nothing in it keeps an effect from being applied twice.
                raw_sql(
                    "CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY,
                         task text NOT NULL, rank int NOT NULL, worker text NOT NULL)",
                )
                .execute(&pool)
                .await
                .unwrap();
                Self::Postgres(Box::new(server))
            }
            Kind::Redis => Self::Redis(Box::new(Redis::start(&[]))),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Postgres(server) => server.address(),
            Self::Redis(server) => server.address(),
        }
    }

    /// How to reach it at this address, which may be a proxy's.
    pub(crate) fn at(&self, address: SocketAddr) -> role::Engine {
        match self {
            Self::Postgres(_) => role::Engine::Postgres {
                url: postgres::url(address, "postgres"),
            },
            Self::Redis(_) => role::Engine::Redis {
                url: redis::url(address),
            },
        }
    }

    /// Ends it at once: it recovers from its log when it is started again.
    pub(crate) fn crash(&self) {
        match self {
            Self::Postgres(server) => server.stop(Stop::Immediate),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Starts it again.
    pub(crate) fn run(&self) {
        match self {
            Self::Postgres(server) => server.run(),
            Self::Redis(server) => server.run(),
        }
    }

    /// Looks into it past all proxies.
    pub(crate) async fn open(&self) -> Direct {
        match self {
            Self::Postgres(server) => {
                let (store, pool) = worker::postgres(&server.url("postgres")).await;
                Direct::Postgres(store, pool)
            }
            Self::Redis(server) => {
                Direct::Redis(role::at_last(|| RedisStore::connect(server.url())).await)
            }
        }
    }
}

/// The store as the test sees it.
pub(crate) enum Direct {
    Postgres(PostgresStore, PgPool),
    Redis(RedisStore),
}

pub(crate) fn events() -> Queue {
    Queue::events(ENDPOINT)
}

impl Direct {
    pub(crate) fn store(&self) -> AnyStore {
        match self {
            Self::Postgres(store, _) => AnyStore::new(store.clone()),
            Self::Redis(store) => AnyStore::new(store.clone()),
        }
    }

    pub(crate) async fn counts(&self) -> Counts {
        match self {
            Self::Postgres(store, _) => store.counts(&events()).await,
            Self::Redis(store) => store.counts(&events()).await,
        }
        .unwrap()
    }

    pub(crate) async fn find(&self, task: &str) -> Option<Found> {
        match self {
            Self::Postgres(store, _) => store.find(&events(), task.as_bytes()).await,
            Self::Redis(store) => store.find(&events(), task.as_bytes()).await,
        }
        .unwrap()
    }

    /// Waits until as many tasks are done, and nothing else is left to be.
    pub(crate) async fn drained(&self, tasks: usize) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let counts = self.counts().await;
            let open = counts.pending + counts.leased;
            if open == 0 && counts.done + counts.dead >= tasks as u64 {
                return match counts.dead {
                    0 => Ok(()),
                    dead => Err(format!("{dead} events were given up")),
                };
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("of {tasks} tasks, not all are done: {counts:?}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
