//! A table in SQLite with the id as its key, each batch one transaction, as durable as ours.

use std::{io, path::Path};

use rusqlite::{Connection, params};

use super::{Log, Record};

pub(crate) struct SqliteTable(Connection);

impl SqliteTable {
    pub(crate) fn create(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE callback (id BLOB PRIMARY KEY, body BLOB NOT NULL);",
        )?;
        Ok(Self(connection))
    }

    fn insert(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO callback VALUES (?, ?) ON CONFLICT DO NOTHING")?;
            for record in records {
                insert.execute(params![record.id, &record.body[..]])?;
            }
        }
        transaction.commit()
    }
}

impl Log for SqliteTable {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        self.insert(records).map_err(io::Error::other)
    }
}
