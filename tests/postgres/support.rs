//! Stores, records and leases for the tests beside.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, PgPool, Row, postgres::PgPoolOptions, query,
    raw_sql,
};
use tower_callback::store::{
    Action, Inbox, Inserted, Lease, Leased, NewRecord, PostgresOptions, PostgresStore, Queue,
    Settled, Settlement, Store,
};

use crate::servers::postgres::{Postgres, options};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A database for one test, on the server of all.
pub(crate) struct Place {
    pub(crate) server: &'static Postgres,
    pub(crate) database: String,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let server = Postgres::shared();
        let database = server.database().await;
        Self { server, database }
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        self.open_with(PostgresStore::options()).await
    }

    pub(crate) async fn open_with(&self, options: PostgresOptions) -> PostgresStore {
        options.open(&self.url()).await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(&self.database)
    }

    /// Somebody else's connection.
    pub(crate) async fn connect(&self) -> PgConnection {
        options(self.server.address(), &self.database)
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_millis(300))
            .connect_with(options(self.server.address(), &self.database))
            .await
            .unwrap()
    }
}

pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap();
}

pub(crate) async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    let row = query(AssertSqlSafe(sql.to_owned())).fetch_one(conn);
    row.await.unwrap().get(0)
}

pub(crate) fn events() -> Queue {
    Queue::events("music-video")
}

pub(crate) fn record(key: &str) -> NewRecord {
    NewRecord::new(events(), key.to_owned(), format!("{{\"id\":\"{key}\"}}"))
}

pub(crate) fn settlement(lease: &Lease, action: Action) -> Settlement {
    Settlement::new(lease.clone(), action)
}

pub(crate) async fn put(store: &PostgresStore, record: &NewRecord) -> Inserted {
    let answers = store.insert(std::slice::from_ref(record)).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers[0]
}

/// Leases the only record that is due.
pub(crate) async fn lease(store: &PostgresStore, ttl: Duration) -> Leased {
    let mut leased = store.lease(&events(), 9, ttl).await.unwrap();
    assert_eq!(leased.len(), 1);
    leased.remove(0)
}

pub(crate) async fn settle(store: &PostgresStore, lease: &Lease, action: Action) -> Settled {
    store.settle(&[settlement(lease, action)]).await.unwrap()[0]
}
