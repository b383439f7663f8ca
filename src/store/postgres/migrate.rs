//! The tables, and how older ones become the present ones.

use sqlx::{AssertSqlSafe, PgConnection, Row, raw_sql};

use super::db_error::open_error;
use crate::store::{OpenError, OpenErrorKind};

/// Step `n` makes version `n + 1` of version `n`. Steps that were released are never changed. The
/// functions of a version carry its number in their names, and a step drops those of the version
/// before: whoever still runs that one cannot write what it does not mean any more.
const STEPS: &[&str] = &[V1];

const V1: &str = include_str!("schema/v1.sql");

/// "tower-ca" as a number: the lock that whoever migrates holds, in whatever schema.
const LOCK: i64 = 0x746f_7765_722d_6361;

/// Refuses tables that are not the present ones.
pub(super) async fn require_present(
    conn: &mut PgConnection,
    schema: &str,
) -> Result<(), OpenError> {
    let found = version(conn, schema).await?;
    OpenError::unless_present(found.into(), STEPS.len())
}

/// Makes the tables the present ones, or those of a release that has later steps. Many processes may do
/// so at once.
pub(super) async fn ensure(
    conn: &mut PgConnection,
    schema: &str,
    later: &[&'static str],
) -> Result<(), OpenError> {
    let steps = [STEPS, later].concat();
    let present = i32::try_from(steps.len()).unwrap_or(i32::MAX);
    // Most of the time there is nothing to do, for which nobody needs the right to do it.
    if version(conn, schema).await? == present {
        return Ok(());
    }
    // Everything in one transaction, which ends the lock too; behind a pooler, it stays on one server
    // connection. The level is said for servers that have another default.
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on;
         SELECT pg_advisory_xact_lock({LOCK})"
    );
    execute(conn, begin).await?;
    // Somebody else may have been faster: only what is read under the lock counts.
    let found = version(conn, schema).await?;
    let missing = usize::try_from(found).ok().and_then(|v| steps.get(v..));
    let Some(missing) = missing else {
        return Err(OpenError::new(
            OpenErrorKind::NewerSchema,
            format!(
                "the tables in the schema {schema} have version {found}, and this release of \
                 tower-callback knows versions up to {present}: use a later release"
            ),
        ));
    };
    let exists = raw_sql(AssertSqlSafe(format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}')"
    )))
    .fetch_one(&mut *conn)
    .await
    .and_then(|row| row.try_get::<bool, _>(0))
    .map_err(open_error)?;
    // `IF NOT EXISTS` asks for the right to make one all the same.
    if !exists {
        execute(conn, format!("CREATE SCHEMA {schema}")).await?;
    }
    for step in missing {
        execute(conn, step.replace("SCHEMA", schema)).await?;
    }
    execute(
        conn,
        format!(
            "CREATE TABLE IF NOT EXISTS {schema}.version (
                one integer PRIMARY KEY CHECK (one = 1), version integer NOT NULL);
             INSERT INTO {schema}.version VALUES (1, {present})
             ON CONFLICT (one) DO UPDATE SET version = excluded.version;
             COMMIT"
        ),
    )
    .await
}

/// Removes a schema with all that is in it.
#[cfg(any(test, feature = "testing"))]
pub(in crate::store) async fn drop_schema(url: &str, schema: &str) -> Result<(), OpenError> {
    use std::str::FromStr;

    use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

    super::statements::check_schema(schema)?;
    let server = PgConnectOptions::from_str(url).map_err(open_error)?;
    let server = server.extra_float_digits(None).disable_statement_logging();
    let mut conn = server.connect().await.map_err(open_error)?;
    execute(&mut conn, format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await
}

/// Zero where there are no tables yet.
async fn version(conn: &mut PgConnection, schema: &str) -> Result<i32, OpenError> {
    // From the catalog's tables, as they are at this statement. What a session remembers of names
    // (`to_regclass`, or naming the table) may be from before it waited for the lock.
    let known = raw_sql(AssertSqlSafe(format!(
        "SELECT EXISTS (
            SELECT FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '{schema}' AND c.relname = 'version')"
    )))
    .fetch_one(&mut *conn)
    .await
    .and_then(|row| row.try_get::<bool, _>(0))
    .map_err(open_error)?;
    if !known {
        return Ok(0);
    }
    raw_sql(AssertSqlSafe(format!(
        "SELECT version FROM {schema}.version"
    )))
    .fetch_one(conn)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(open_error)
}

async fn execute(conn: &mut PgConnection, sql: String) -> Result<(), OpenError> {
    // This crate's own text, and a name that was checked.
    raw_sql(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .map_err(open_error)?;
    Ok(())
}
