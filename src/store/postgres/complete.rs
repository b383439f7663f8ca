//! Done, inside a transaction of the user's.

use sqlx::{PgConnection, Row, query};

use super::{rows, statements::Text};
use crate::store::{CompleteError, CompleteErrorKind, Lease};

pub(super) async fn complete(
    conn: &mut PgConnection,
    statement: &Text,
    lease: &Lease,
) -> Result<(), CompleteError> {
    let (seq, random) = rows::halves(lease.token);
    let told = query(statement.sql())
        .bind(seq)
        .bind(random)
        // The transaction may go through a pooler, which knows no names of statements.
        .persistent(false)
        .fetch_one(conn)
        .await
        .and_then(|row| row.try_get::<i16, _>(0));
    match told {
        Ok(1) => Ok(()),
        Ok(2) => Err(CompleteError::new(CompleteErrorKind::Completed)),
        Ok(_) => Err(CompleteError::new(CompleteErrorKind::Lost)),
        Err(error) => Err(CompleteError::database(error)),
    }
}
