//! What one writes by hand to keep callbacks: the floors and peers of our stores.

mod append;
mod group;
mod sqlite;
mod two_tables;
mod unnest;

pub(crate) use self::{
    append::AppendOnly,
    group::{Group, Log, Record},
    sqlite::SqliteTable,
    two_tables::{PostgresTables, SqliteTables, TwoTables},
    unnest::{TABLE, Unnest},
};
