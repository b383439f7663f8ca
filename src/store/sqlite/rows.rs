//! What goes into the tables and comes out of them: keys, states, tokens, and batches as parameters.

use std::{array::TryFromSliceError, fmt::Write as _, sync::Arc};

use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::store::{LeaseToken, Queue, RecordId, State};

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

/// A key as the tables hold it.
pub(super) type KeyHash = [u8; 16];

/// SHA-256, cut to 128 bits, over the length-prefixed parts: no two lists of parts are the same bytes.
pub(super) fn key_hash(queue: &Queue, key: &[u8]) -> KeyHash {
    let mut hash = Sha256::new();
    for part in [
        queue.endpoint().as_bytes(),
        queue.kind().as_str().as_bytes(),
        key,
    ] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    first(&hash.finalize())
}

/// An 8-byte digest of a body.
pub(super) fn digest(body: &[u8]) -> i64 {
    i64::from_be_bytes(first(&Sha256::digest(body)))
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&bytes[..N]);
    first
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

/// A statement over a list of rows of parameters. Lists are filled up with rows of NULL to the next
/// power of two, so that a handful of prepared statements serves every batch.
pub(super) struct RowsSql {
    sizes: Vec<Arc<str>>,
}

impl RowsSql {
    pub(super) const MAX_ROWS: usize = 256;

    /// `before (VALUES (?, …), …) after`, for rows of `columns` parameters.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let sizes = (0..=Self::MAX_ROWS.ilog2())
            .map(|power| {
                let rows = vec![row.as_str(); 1 << power].join(",");
                format!("{before} (VALUES {rows}) {after}").into()
            })
            .collect();
        Self { sizes }
    }

    /// The statement for a list of 1 to [`MAX_ROWS`](Self::MAX_ROWS) rows. What is not bound is NULL.
    pub(super) fn for_rows(&self, rows: usize) -> AssertSqlSafe<Arc<str>> {
        let power = rows.clamp(1, Self::MAX_ROWS).next_power_of_two().ilog2();
        let sql = &self.sizes[usize::try_from(power).unwrap_or_default()];
        // Made of this crate's own text and question marks.
        AssertSqlSafe(Arc::clone(sql))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_queues_and_keys_share_a_hash_input() {
        let a = key_hash(&Queue::events("a"), b"b:c");
        let b = key_hash(&Queue::events("a:b"), b"c");
        let c = key_hash(&Queue::tracked("a"), b"b:c");
        assert!(a != b && a != c && b != c);
    }

    #[test]
    fn a_list_is_filled_up_to_a_power_of_two() {
        let sql = RowsSql::new("SELECT * FROM", 2, "");
        assert_eq!(&*sql.for_rows(1).0, "SELECT * FROM (VALUES (?,?)) ");
        assert_eq!(sql.for_rows(3).0.matches("(?,?)").count(), 4);
        assert_eq!(sql.for_rows(256).0.matches("(?,?)").count(), 256);
    }

    #[test]
    fn numbers_become_a_json_array() {
        assert_eq!(json_array([]), "[]");
        assert_eq!(json_array([1, -2]), "[1,-2]");
    }
}
