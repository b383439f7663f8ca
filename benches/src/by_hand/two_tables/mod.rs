//! The least that a durable queue with keys can be: a table of keys that are remembered, and one of
//! what is alive, which a settlement empties. No ranks, no retries, no fencing but the token.

mod postgres;
mod sqlite;

use std::io;

use super::Record;

pub(crate) use self::{postgres::PostgresTables, sqlite::SqliteTables};

pub(crate) trait TwoTables: Send + 'static {
    /// Returns when all of them are durable.
    fn insert(&mut self, records: &[Record]) -> io::Result<()>;

    /// Leases what is due and settles it as done; tells how many. Both are durable.
    fn handle(&mut self, most: u32) -> io::Result<usize>;
}
