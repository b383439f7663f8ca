//! What goes into the tables and comes out of them: keys, states, tokens, and batches as parameters.

use std::{array::TryFromSliceError, fmt::Write as _, sync::Arc};

use sqlx::{AssertSqlSafe, Sqlite, query::Query, sqlite::SqliteArguments};

pub(super) use crate::store::hash::{KeyHash, digest, key_hash};
use crate::store::{LeaseToken, RecordId, State};

pub(super) const PENDING: i64 = 0;
pub(super) const LEASED: i64 = 1;
/// In quarantine: pending to the outside, and never leased.
pub(super) const QUARANTINED: i64 = 2;
pub(super) const DEAD: i64 = 3;
pub(super) const DONE: i64 = 4;
/// Only in `seen`: the key is free, and the token that freed it is remembered.
pub(super) const DISOWNED: i64 = 5;

/// The state as it is told, of a row whose lease ends at `lease_until`.
pub(super) fn state(code: i64, lease_until: Option<i64>, now: i64) -> State {
    match code {
        LEASED if lease_until.is_some_and(|until| until > now) => State::Leased,
        DEAD => State::Dead,
        DONE => State::Done,
        _ => State::Pending,
    }
}

/// Half of a token is random, the other half is the beginning of the key's hash, by which its row
/// is found wherever it is by then.
pub(super) fn new_token(k: &KeyHash) -> LeaseToken {
    let mut token = RecordId::random().to_bytes();
    token[8..].copy_from_slice(&k[..8]);
    LeaseToken::from_bytes(token)
}

/// The first and the last hash that the row of a token can have.
pub(super) fn token_range(token: LeaseToken) -> [KeyHash; 2] {
    let (mut low, mut high) = ([0; 16], [0xff; 16]);
    low[..8].copy_from_slice(&token.to_bytes()[8..]);
    high[..8].copy_from_slice(&token.to_bytes()[8..]);
    [low, high]
}

pub(super) fn id(bytes: &[u8]) -> Result<RecordId, sqlx::Error> {
    bytes.try_into().map(RecordId::from_bytes).map_err(damaged)
}

pub(super) fn token(bytes: &[u8]) -> Result<LeaseToken, sqlx::Error> {
    bytes
        .try_into()
        .map(LeaseToken::from_bytes)
        .map_err(damaged)
}

/// A value that this crate did not write.
pub(super) fn damaged(error: TryFromSliceError) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// Integers as a JSON array, for `json_each`: one statement for batches of any size.
pub(super) fn json_array(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut json = String::from("[");
    for (i, number) in numbers.into_iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(json, "{number}");
    }
    json.push(']');
    json
}

/// Pairs of integers as a JSON array of arrays.
pub(super) fn json_pairs(pairs: impl IntoIterator<Item = (i64, i64)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(a, b)| format!("[{a},{b}]"))
        .collect();
    format!("[{}]", pairs.join(","))
}

/// A statement over a list of rows of parameters: `before (VALUES (?, …), …) after`.
pub(super) struct Over<'a> {
    pub(super) before: &'a str,
    pub(super) columns: usize,
    pub(super) after: &'a str,
}

impl Over<'_> {
    /// Binds what is missing behind so many rows: rows of NULL.
    pub(super) fn fill_up<'q>(&self, mut statement: Statement<'q>, rows: usize) -> Statement<'q> {
        for _ in 0..(RowsSql::filled_up(rows) - rows) * self.columns {
            statement = statement.bind(None::<i64>);
        }
        statement
    }
}

pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Statements that are sent at once, each over a list of as many rows. Lists are filled up with rows of
/// NULL to the next power of two, so that a handful of prepared statements serves every batch.
pub(super) struct RowsSql {
    sizes: Vec<Arc<str>>,
}

impl RowsSql {
    pub(super) const MAX_ROWS: usize = 256;

    /// The statements, and one behind them, whose parameters are without numbers, too.
    pub(super) fn new(statements: &[Over<'_>], end: &str) -> Self {
        let sizes = (0..=Self::MAX_ROWS.ilog2())
            .map(|power| {
                let mut sql = String::new();
                for statement in statements {
                    let row = format!("({})", vec!["?"; statement.columns].join(","));
                    let rows = vec![row; 1 << power].join(",");
                    let Over { before, after, .. } = statement;
                    // Writing to a string does not fail.
                    let _ = write!(sql, "{before} (VALUES {rows}) {after};");
                }
                (sql + end).into()
            })
            .collect();
        Self { sizes }
    }

    /// The statements for lists of 1 to [`MAX_ROWS`](Self::MAX_ROWS) rows.
    pub(super) fn for_rows(&self, rows: usize) -> AssertSqlSafe<Arc<str>> {
        let power = Self::filled_up(rows).ilog2();
        let sql = &self.sizes[usize::try_from(power).unwrap_or_default()];
        // Made of this crate's own text and question marks.
        AssertSqlSafe(Arc::clone(sql))
    }

    /// How many rows have to be bound, with those of NULL.
    pub(super) fn filled_up(rows: usize) -> usize {
        rows.clamp(1, Self::MAX_ROWS).next_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_up_to_a_power_of_two() {
        let over = |before, columns| Over {
            before,
            columns,
            after: "t",
        };
        let sql = RowsSql::new(
            &[over("SELECT * FROM", 2), over("DELETE FROM", 1)],
            "COMMIT",
        );
        assert_eq!(
            &*sql.for_rows(1).0,
            "SELECT * FROM (VALUES (?,?)) t;DELETE FROM (VALUES (?)) t;COMMIT"
        );
        for (rows, filled_up) in [(1, 1), (3, 4), (129, 256), (256, 256)] {
            assert_eq!(RowsSql::filled_up(rows), filled_up);
            let sql = sql.for_rows(rows);
            assert_eq!(sql.0.matches("(?,?)").count(), filled_up);
            assert_eq!(sql.0.matches("(?)").count(), filled_up);
        }
    }

    #[test]
    fn numbers_become_a_json_array() {
        assert_eq!(json_array([]), "[]");
        assert_eq!(json_array([1, -2]), "[1,-2]");
    }
}
