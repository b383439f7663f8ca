//! The PostgreSQL store on a private server, whose clock is a function of the schema: the test
//! replaces it by one that stands still until it is turned, however long the calls take.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, raw_sql};
use tower_callback::store::PostgresStore;

use crate::{
    servers::postgres::Postgres as Server,
    shared::{Limits, Subject},
};

pub(crate) struct Postgres {
    store: PostgresStore,
    hands: PgConnection,
    schema: String,
}

impl Postgres {
    pub(crate) async fn new(limits: Limits) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("model_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = Server::shared();
        let store = PostgresStore::options()
            .with_schema(&schema)
            .with_capacity(limits.capacity as u64)
            .with_quarantine(limits.quarantine as u64)
            .open(&server.url("postgres"))
            .await
            .unwrap();
        let hands = server.options("postgres").connect().await.unwrap();
        let mut postgres = Self {
            store,
            hands,
            schema,
        };
        postgres
            .execute(
                "SET synchronous_commit = off;
                CREATE TABLE SCHEMA.hands AS SELECT SCHEMA.clock_1() AS millis;
                CREATE OR REPLACE FUNCTION SCHEMA.clock_1() RETURNS bigint LANGUAGE sql VOLATILE AS
                $$ SELECT millis FROM SCHEMA.hands $$",
            )
            .await;
        postgres
    }

    async fn execute(&mut self, sql: &str) {
        let sql = sql.replace("SCHEMA", &self.schema);
        raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.hands)
            .await
            .unwrap();
    }
}

impl Subject for Postgres {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn advance(&mut self, by: Duration) {
        let millis = by.as_millis();
        let sql = format!("UPDATE SCHEMA.hands SET millis = millis + {millis}");
        self.execute(&sql).await;
    }

    async fn clear(&mut self) {
        self.execute(
            "TRUNCATE SCHEMA.seen, SCHEMA.inbox, SCHEMA.payload, SCHEMA.settled, SCHEMA.failed",
        )
        .await;
    }
}
