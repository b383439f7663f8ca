//! What goes into the tables and comes out of them: tokens, times, states.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};

use crate::{
    event::Rank,
    store::{LeaseToken, RecordId, State},
};

/// A few ten thousand years: longer waits are for ever, and no sum of them overflows.
const FOR_EVER: i64 = 1_000_000_000_000_000;

/// A duration of the caller's in milliseconds, rounded up: nothing is due too early.
pub(super) fn millis(duration: Duration) -> i64 {
    let millis = i64::try_from(duration.as_nanos().div_ceil(1_000_000));
    millis.unwrap_or(FOR_EVER).min(FOR_EVER)
}

pub(super) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// One half of a token is the number of its row, by which it is found; the other one is random.
pub(super) fn token(seq: i64, random: i64) -> LeaseToken {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    bytes[8..].copy_from_slice(&random.to_be_bytes());
    LeaseToken::from_bytes(bytes)
}

/// The halves of a token.
pub(super) fn halves(token: LeaseToken) -> (i64, i64) {
    let bytes = token.to_bytes();
    let (mut seq, mut random) = ([0; 8], [0; 8]);
    seq.copy_from_slice(&bytes[..8]);
    random.copy_from_slice(&bytes[8..]);
    (i64::from_be_bytes(seq), i64::from_be_bytes(random))
}

pub(super) fn new_random() -> i64 {
    halves(LeaseToken::random()).1
}

pub(super) fn id(row: &PgRow, index: usize) -> Result<RecordId, sqlx::Error> {
    let bytes: [u8; 16] = row.try_get(index)?;
    Ok(RecordId::from_bytes(bytes))
}

pub(super) fn rank(row: &PgRow, index: usize) -> Result<Rank, sqlx::Error> {
    let rank: i32 = row.try_get(index)?;
    Rank::try_from(rank).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn state(row: &PgRow, index: usize) -> Result<State, sqlx::Error> {
    let state: i16 = row.try_get(index)?;
    Ok(match state {
        1 => State::Leased,
        3 => State::Dead,
        4 => State::Done,
        _ => State::Pending,
    })
}

/// A count that is never negative.
pub(super) fn count(row: &PgRow, index: usize) -> Result<u32, sqlx::Error> {
    let count: i32 = row.try_get(index)?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// A text without the one character that the server's texts cannot hold.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_halves() {
        for (seq, random) in [(1, -1), (i64::MAX, i64::MIN), (0, 7)] {
            assert_eq!(halves(token(seq, random)), (seq, random));
        }
    }

    #[test]
    fn durations_are_rounded_up_and_never_overflow() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(2)), 2);
        assert_eq!(millis(Duration::MAX), FOR_EVER);
        assert!(FOR_EVER.checked_mul(1000).is_some());
    }
}
