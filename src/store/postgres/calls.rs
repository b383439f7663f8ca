//! One call: a connection of the pool, one statement, and the connection given back or closed.

use std::{sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection,
    postgres::PgArguments, postgres::PgRow, query::Query, raw_sql,
};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

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

/// For how long the end of a given-up call is waited for, where the server is gone without a word.
const LINGERS: Duration = Duration::from_secs(15 * 60);

/// Where calls go.
#[derive(Debug)]
pub(super) struct Calls {
    pool: PgPool,
    way: Way,
    /// After that, a call is given up.
    limit: Duration,
    /// Places for given-up calls beside the pool.
    given_up: Arc<Semaphore>,
}

/// A connection in use. Dropped without [`release`](Self::release), it is closed: a future that was
/// dropped midway may have left a statement under way, and after an error nobody knows what a
/// connection is worth. The server may have become a standby.
///
/// It is closed when the server has answered. One that waits for a synchronous standby does not
/// notice that its client is gone: with every call that is given up and repeated, there would be one
/// more session, until the server takes no more. So there are as many beside the pool as in it, and
/// the next ones keep their places in the pool.
struct Held {
    conn: Option<PoolConnection<Postgres>>,
    given_up: Arc<Semaphore>,
}

impl Held {
    fn conn(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("taken only by release and drop")
    }

    fn release(mut self) {
        drop(self.conn.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        let mut placed = Placed(Some(conn));
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        match Arc::clone(&self.given_up).try_acquire_owned() {
            Ok(place) => {
                let conn = placed.0.take().map(PoolConnection::detach);
                runtime.spawn(async move {
                    if let Some(mut conn) = conn {
                        // What was under way is answered first.
                        let _ = timeout(LINGERS, conn.ping()).await;
                    }
                    drop(place);
                });
            }
            Err(_) => {
                runtime.spawn(async move {
                    if let Some(conn) = &mut placed.0 {
                        let _ = timeout(LINGERS, conn.ping()).await;
                    }
                });
            }
        }
    }
}

/// A connection that keeps its place in the pool until it is closed, and is never used again.
struct Placed(Option<PoolConnection<Postgres>>);

impl Drop for Placed {
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
    pub(super) fn new(pool: PgPool, way: Way, limit: Duration) -> Self {
        let places = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        Self {
            pool,
            way,
            limit,
            given_up: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Runs one statement, in a transaction of its own.
    pub(super) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.rows_then(statement, None).await
    }

    /// Runs one statement, in a transaction of its own, and another one when it is committed, whose
    /// failure is that of the call.
    pub(super) async fn rows_then(
        &self,
        statement: Statement<'_>,
        then: Option<Statement<'_>>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let call = async {
            let mut held = Held {
                conn: Some(self.pool.acquire().await?),
                given_up: Arc::clone(&self.given_up),
            };
            let prepared = self.way == Way::Prepared;
            let rows = if prepared {
                statement.fetch_all(held.conn()).await?
            } else {
                let conn = held.conn();
                raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .execute(&mut *conn)
                    .await?;
                let rows = statement.persistent(false).fetch_all(&mut *conn).await?;
                raw_sql("COMMIT").execute(conn).await?;
                rows
            };
            if let Some(then) = then {
                then.persistent(prepared).fetch_all(held.conn()).await?;
            }
            held.release();
            Ok(rows)
        };
        match timeout(self.limit, call).await {
            Ok(rows) => rows.map_err(store_error),
            Err(_) => Err(StoreError::unavailable(
                "the PostgreSQL server does not answer in time",
            )),
        }
    }
}
