//! The PostgreSQL store: on a server, on a user's pool, and behind a pooler.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use libtest_mimic::Trial;
use sqlx::postgres::PgPoolOptions;
use tower_callback::{
    store::{AnyStore, PostgresOptions, PostgresStore},
    testing::conformance::Fixture,
};

use crate::{
    servers::postgres::{Bouncer, Postgres, missing, missing_bouncer, url},
    suite::{self, Made},
};

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite::inspected("postgres", &[], || made(missing(), OnUrl::default())),
        suite::of(
            "postgres on a pool with bad settings, behind `AnyStore`",
            &[],
            || made(missing(), OnPool::default()),
        ),
        suite::inspected("postgres behind PgBouncer", &[], || {
            made(missing_bouncer(), Behind::default())
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn made<F>(missing: Option<String>, fixture: F) -> Made<F> {
    missing.map_or(Ok(fixture), Err)
}

/// A schema for every store: one database for all.
#[derive(Default)]
struct Schemas(Mutex<String>);

impl Schemas {
    fn fresh(&self) -> PostgresOptions {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        *self.0.lock().unwrap() = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.last()
    }

    fn last(&self) -> PostgresOptions {
        PostgresStore::options().with_schema(&*self.0.lock().unwrap())
    }
}

#[derive(Default)]
struct OnUrl(Schemas);

impl OnUrl {
    async fn store(options: PostgresOptions) -> PostgresStore {
        let url = Postgres::shared().url("postgres");
        options.open(&url).await.unwrap()
    }
}

impl Fixture for OnUrl {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        Self::store(self.0.fresh()).await
    }
    async fn open_bounded(&self, records: usize) -> Option<PostgresStore> {
        let options = self.0.fresh().with_capacity(records as u64);
        Some(Self::store(options).await)
    }
    async fn reopen(&self, store: PostgresStore) -> Option<PostgresStore> {
        drop(store);
        Some(Self::store(self.0.last()).await)
    }
}

#[derive(Default)]
struct OnPool(Schemas);

impl OnPool {
    /// A pool whose settings are the worst that a user may have.
    async fn store(options: PostgresOptions) -> AnyStore {
        let server = Postgres::shared().options("postgres").options([
            ("synchronous_commit", "off"),
            ("default_transaction_isolation", "serializable"),
            ("bytea_output", "escape"),
            ("search_path", "nowhere"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .connect_with(server)
            .await
            .unwrap();
        AnyStore::new(options.with_pool(pool).await.unwrap())
    }
}

impl Fixture for OnPool {
    type Store = AnyStore;

    async fn open(&self) -> AnyStore {
        Self::store(self.0.fresh()).await
    }
    async fn open_bounded(&self, records: usize) -> Option<AnyStore> {
        Some(Self::store(self.0.fresh().with_capacity(records as u64)).await)
    }
    async fn reopen(&self, store: AnyStore) -> Option<AnyStore> {
        drop(store);
        Some(Self::store(self.0.last()).await)
    }
}

/// With fewer server connections than clients, so that they are handed round.
fn bouncer() -> &'static Bouncer {
    static BOUNCER: OnceLock<Bouncer> = OnceLock::new();
    BOUNCER.get_or_init(|| Bouncer::start(Postgres::shared(), "default_pool_size = 4"))
}

#[derive(Default)]
struct Behind(Schemas);

impl Behind {
    async fn store(options: PostgresOptions) -> PostgresStore {
        options
            .open(&url(bouncer().address(), "postgres"))
            .await
            .unwrap()
    }
}

impl Fixture for Behind {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        Self::store(self.0.fresh()).await
    }
    async fn open_bounded(&self, records: usize) -> Option<PostgresStore> {
        Some(Self::store(self.0.fresh().with_capacity(records as u64)).await)
    }
    async fn reopen(&self, store: PostgresStore) -> Option<PostgresStore> {
        drop(store);
        Some(Self::store(self.0.last()).await)
    }
}
