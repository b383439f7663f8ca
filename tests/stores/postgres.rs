//! The PostgreSQL store: on a server, on a user's pool, and behind a pooler.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use libtest_mimic::Trial;
use sqlx::{ConnectOptions as _, Postgres, Transaction, postgres::PgPoolOptions};
use tower_callback::{
    store::{CompleteErrorKind, Lease, PostgresOptions, PostgresStore},
    testing::conformance::{Completed, Completes, Cut, Fixture, Process},
};

use crate::{
    child,
    servers::{
        postgres::{Bouncer, Postgres as Server, missing, missing_bouncer, options, url},
        proxy::{Proxy, Way},
    },
    suite::{self, Made},
};

pub(crate) fn trials() -> Vec<Trial> {
    [
        (Kind::Server, "postgres"),
        (Kind::Pool, "postgres on a pool with bad settings"),
        (Kind::Bouncer, "postgres behind PgBouncer"),
    ]
    .into_iter()
    .flat_map(|(kind, name)| {
        let mut trials = suite::inspected(name, &[], move || Place::new(kind));
        trials.extend(suite::completing(name, &[], move || Place::new(kind)));
        trials
    })
    .collect()
}

/// How the store gets to its server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Server,
    /// On a pool whose settings are the worst that a user may have.
    Pool,
    Bouncer,
}

impl Kind {
    async fn open(self, options: PostgresOptions, server: SocketAddr) -> PostgresStore {
        if self != Self::Pool {
            return options.open(&url(server, "postgres")).await.unwrap();
        }
        let settings = [
            ("synchronous_commit", "off"),
            ("default_transaction_isolation", "serializable"),
            ("bytea_output", "escape"),
            ("search_path", "nowhere"),
        ];
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .connect_with(crate::servers::postgres::options(server, "postgres").options(settings))
            .await
            .unwrap();
        options.with_pool(pool).await.unwrap()
    }

    /// Where the server is, or what stands before it.
    fn address(self) -> SocketAddr {
        static BOUNCER: OnceLock<Bouncer> = OnceLock::new();
        let server = Server::shared();
        match self {
            Self::Server | Self::Pool => server.address(),
            // With fewer connections than clients, so that they are handed round.
            Self::Bouncer => BOUNCER
                .get_or_init(|| Bouncer::start(server, "default_pool_size = 4"))
                .address(),
        }
    }
}

/// Opens what another process was told.
pub(crate) async fn open(place: &str) -> PostgresStore {
    let [kind, schema, server] = place.split(',').collect::<Vec<_>>()[..] else {
        panic!("{place} is no place");
    };
    let kinds = [Kind::Server, Kind::Pool, Kind::Bouncer];
    let kind = kinds.into_iter().find(|known| format!("{known:?}") == kind);
    let options = PostgresStore::options().with_schema(schema);
    kind.unwrap().open(options, server.parse().unwrap()).await
}

/// A schema for every store, in one database for all, behind a proxy that cuts connections.
struct Place {
    kind: Kind,
    schema: Mutex<String>,
    proxy: OnceLock<Proxy>,
}

impl Place {
    fn new(kind: Kind) -> Made<Self> {
        let missing = match kind {
            Kind::Bouncer => missing_bouncer(),
            Kind::Server | Kind::Pool => missing(),
        };
        let place = Self {
            kind,
            schema: Mutex::default(),
            proxy: OnceLock::new(),
        };
        missing.map_or(Ok(place), Err)
    }

    fn fresh(&self) -> PostgresOptions {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        *self.schema.lock().unwrap() = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.last()
    }

    fn last(&self) -> PostgresOptions {
        PostgresStore::options().with_schema(&*self.schema.lock().unwrap())
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.get_or_init(|| Proxy::to(self.kind.address()))
    }

    async fn store(&self, options: PostgresOptions) -> PostgresStore {
        self.kind.open(options, self.proxy().address()).await
    }
}

impl Fixture for Place {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        self.store(self.fresh()).await
    }
    async fn open_bounded(&self, records: usize) -> Option<PostgresStore> {
        let options = self.fresh().with_capacity(records as u64);
        Some(self.store(options).await)
    }
    async fn reopen(&self, store: PostgresStore) -> Option<PostgresStore> {
        drop(store);
        Some(self.store(self.last()).await)
    }
    async fn open_again(&self, _: &PostgresStore) -> Option<PostgresStore> {
        Some(self.store(self.last()).await)
    }
    async fn process(&self, _: &PostgresStore, days_off: i64) -> Option<Process> {
        let schema = self.schema.lock().unwrap().clone();
        let place = format!("postgres:{:?},{schema},{}", self.kind, self.kind.address());
        Some(Process::start(child::command(&place, days_off)?).unwrap())
    }
    async fn cut(&self, _: &PostgresStore, when: Option<Cut>) -> bool {
        match when {
            None => self.proxy().pass(),
            Some(Cut::Request(bytes)) => self.proxy().cut_after(Way::Request, bytes),
            Some(Cut::Answer(bytes)) => self.proxy().cut_after(Way::Answer, bytes),
        }
        true
    }
}

impl Completes for Place {
    type Transaction = (PostgresStore, Transaction<'static, Postgres>);

    const HOLDS_ROWS_ONLY: bool = true;

    async fn begin(&self, store: &PostgresStore) -> Self::Transaction {
        let server = options(self.kind.address(), "postgres")
            .extra_float_digits(None)
            .disable_statement_logging();
        let pool = PgPoolOptions::new().connect_with(server).await.unwrap();
        (store.clone(), pool.begin().await.unwrap())
    }
    async fn complete(&self, (store, tx): &mut Self::Transaction, lease: &Lease) -> Completed {
        match store.complete(tx, lease).await {
            Ok(()) => Completed::Now,
            Err(error) => match error.kind() {
                CompleteErrorKind::Completed => Completed::Before,
                CompleteErrorKind::Lost => Completed::Lost,
                _ => panic!("{error:?}"),
            },
        }
    }
    async fn commit(&self, (_, transaction): Self::Transaction) {
        transaction.commit().await.unwrap();
    }
    async fn roll_back(&self, (_, transaction): Self::Transaction) {
        transaction.rollback().await.unwrap();
    }
}
