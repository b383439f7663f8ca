//! What the server and the way to it are like.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row,
    postgres::PgConnectOptions, raw_sql,
};

use super::{db_error::open_error, rows};
use crate::store::OpenError;

/// How long the way to the server is tried.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fails where the server cannot keep the promise.
pub(super) async fn check(
    conn: &mut PgConnection,
    schema: &str,
    standby: bool,
    unsafe_fsync: bool,
) -> Result<(), OpenError> {
    // This crate's own text, and a name that was checked. One transaction, READ COMMITTED as calls are.
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;
         SELECT {schema}.guard_1({standby}, {unsafe_fsync}, 5000); COMMIT"
    );
    raw_sql(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .map_err(open_error)?;
    Ok(())
}

/// Whether transactions are READ COMMITTED without saying so.
pub(super) async fn reads_committed(conn: &mut PgConnection) -> Result<bool, OpenError> {
    let row = raw_sql("SHOW default_transaction_isolation").fetch_one(conn);
    let level = row.await.and_then(|row| row.try_get::<String, _>(0));
    Ok(level.map_err(open_error)? == "read committed")
}

/// Whether a connection is one to the server, and not to a pooler in front of it. A setting of our own,
/// sent when connecting, is there afterwards only on a server: poolers refuse what they do not know,
/// or swallow it.
pub(super) async fn leads_straight_to_the_server(server: &PgConnectOptions) -> bool {
    let nonce = format!("p{:x}", rows::new_random());
    let tried = async {
        let probing = server.clone().options([("tower_callback.probe", &nonce)]);
        let mut conn = probing.connect().await?;
        let row = raw_sql("SELECT current_setting('tower_callback.probe', true)")
            .fetch_one(&mut conn)
            .await?;
        let told: Option<String> = row.try_get(0)?;
        conn.close().await?;
        Ok::<_, sqlx::Error>(told)
    };
    match tokio::time::timeout(PATIENCE, tried).await {
        Ok(Ok(told)) => told.as_deref() == Some(&*nonce),
        _ => false,
    }
}
