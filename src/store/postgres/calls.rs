//! One call: a connection of the pool, one statement, and the connection given back or closed.

use std::{sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres, pool::PoolConnection, postgres::PgArguments,
    postgres::PgRow, query::Query, raw_sql,
};

use super::db_error::store_error;
use crate::store::StoreError;

/// How a statement gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Prepared once for each connection, and then one round trip.
    Prepared,
    /// Unnamed, between `BEGIN` and `COMMIT`: for poolers that give a client another server
    /// connection after each transaction, and for servers whose transactions are not READ
    /// COMMITTED unless one says so.
    Transaction,
}

/// Where calls go.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) pool: PgPool,
    pub(super) way: Way,
    /// After that, a call is given up and its connection closed.
    pub(super) limit: Duration,
}

/// A connection in use. Dropped without [`release`](Self::release), it is closed: a future that was
/// dropped midway may have left a statement under way, and after an error nobody knows what a
/// connection is worth. The server may have become a standby.
struct Held(Option<PoolConnection<Postgres>>);

impl Held {
    fn conn(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("taken only by release and drop")
    }

    fn release(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(conn.detach());
        }
    }
}

/// A statement of this crate's own, whose only variable part is the name of the schema.
pub(super) type Sql = AssertSqlSafe<Arc<str>>;

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Calls {
    /// Runs one statement, in a transaction of its own.
    pub(super) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        let call = async {
            let mut held = Held(Some(self.pool.acquire().await?));
            let rows = match self.way {
                Way::Prepared => statement.fetch_all(held.conn()).await?,
                Way::Transaction => {
                    let conn = held.conn();
                    raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
                        .execute(&mut *conn)
                        .await?;
                    let rows = statement.persistent(false).fetch_all(&mut *conn).await?;
                    raw_sql("COMMIT").execute(conn).await?;
                    rows
                }
            };
            held.release();
            Ok(rows)
        };
        match tokio::time::timeout(self.limit, call).await {
            Ok(rows) => rows.map_err(store_error),
            Err(_) => Err(StoreError::unavailable(
                "the PostgreSQL server does not answer in time",
            )),
        }
    }
}
