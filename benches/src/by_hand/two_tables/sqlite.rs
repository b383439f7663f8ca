use std::{io, path::Path};

use rusqlite::{Connection, params};

use super::{Record, TwoTables};

pub(crate) struct SqliteTables(Connection);

impl SqliteTables {
    pub(crate) fn create(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE seen (k BLOB PRIMARY KEY, state INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE inbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL,
                 attempt INTEGER NOT NULL, token BLOB, k BLOB NOT NULL, body BLOB NOT NULL);
             CREATE INDEX due ON inbox (due, seq);",
        )?;
        Ok(Self(connection))
    }

    fn try_insert(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut seen = transaction
                .prepare_cached("INSERT INTO seen VALUES (?, 0) ON CONFLICT DO NOTHING")?;
            let mut inbox = transaction.prepare_cached(
                "INSERT INTO inbox (due, attempt, k, body) VALUES (unixepoch(), 0, ?, ?)",
            )?;
            for record in records {
                if seen.execute(params![record.id])? == 1 {
                    inbox.execute(params![record.id, &record.body[..]])?;
                }
            }
        }
        transaction.commit()
    }

    fn try_handle(&mut self, most: u32) -> rusqlite::Result<usize> {
        let transaction = self.0.transaction()?;
        let leased: Vec<(i64, Vec<u8>, Vec<u8>)> = transaction
            .prepare_cached(
                "UPDATE inbox SET due = unixepoch() + 60, attempt = attempt + 1, token = randomblob(16)
                 WHERE seq IN (SELECT seq FROM inbox WHERE due <= unixepoch() ORDER BY due, seq LIMIT ?)
                 RETURNING seq, token, k, body",
            )?
            .query_map([most], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        transaction.commit()?;
        let transaction = self.0.transaction()?;
        {
            let mut gone =
                transaction.prepare_cached("DELETE FROM inbox WHERE seq = ? AND token = ?")?;
            let mut done = transaction.prepare_cached("UPDATE seen SET state = 3 WHERE k = ?")?;
            for (seq, token, k) in &leased {
                if gone.execute(params![seq, token])? == 1 {
                    done.execute([k])?;
                }
            }
        }
        transaction.commit()?;
        Ok(leased.len())
    }
}

impl TwoTables for SqliteTables {
    fn insert(&mut self, records: &[Record]) -> io::Result<()> {
        self.try_insert(records).map_err(io::Error::other)
    }

    fn handle(&mut self, most: u32) -> io::Result<usize> {
        self.try_handle(most).map_err(io::Error::other)
    }
}
