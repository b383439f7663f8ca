//! A table in PostgreSQL with the id as its key, each batch one statement through `unnest`.

use std::io;

use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::{Builder, Runtime};

use super::{Log, Record};

pub(crate) const TABLE: &str = "CREATE TABLE callback (id BYTEA PRIMARY KEY, body BYTEA NOT NULL)";

pub(crate) struct Unnest {
    runtime: Runtime,
    connection: PgConnection,
}

impl Unnest {
    /// In an empty database.
    pub(crate) fn create(url: &str) -> Result<Self, sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await?;
            connection.execute(TABLE).await?;
            Ok::<_, sqlx::Error>(connection)
        })?;
        Ok(Self {
            runtime,
            connection,
        })
    }
}

impl Log for Unnest {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        let ids: Vec<&[u8]> = records.iter().map(|record| &record.id[..]).collect();
        let bodies: Vec<&[u8]> = records.iter().map(|record| &record.body[..]).collect();
        let insert = sqlx::query(
            "INSERT INTO callback SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT DO NOTHING",
        )
        .bind(ids)
        .bind(bodies)
        .execute(&mut self.connection);
        self.runtime.block_on(insert).map_err(io::Error::other)?;
        Ok(())
    }
}
