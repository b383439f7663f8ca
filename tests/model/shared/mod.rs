//! A store held against a model of it, for the property tests and for the fuzz target `store_model`.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a module of its own in the tests and in the fuzzer, which use their own part"
)]

mod agree;
pub(crate) mod memory;
mod reference;
pub(crate) mod sequence;
pub(crate) mod sqlite;
mod told;

pub(crate) use self::{
    agree::{Subject, agree},
    sequence::Sequence,
};

use std::time::Duration;

/// What each call takes, in the time of the store: more than the real milliseconds that go by.
pub(crate) const CALL: Duration = Duration::from_secs(60);

/// What everything else is a multiple of: more than the calls of a sequence take together, so that no
/// two things that happened in different calls ever fall due at the same instant.
pub(crate) const UNIT: Duration = Duration::from_secs(4 * 60 * 60);

/// The room of a store that has little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many records may be pending or leased.
    pub(crate) capacity: usize,
    /// How many records a quarantine keeps.
    pub(crate) quarantine: usize,
}

impl Limits {
    /// Enough for every sequence.
    pub(crate) const WIDE: Self = Self {
        capacity: 1000,
        quarantine: 1000,
    };
    /// So little that sequences come upon it.
    pub(crate) const TIGHT: Self = Self {
        capacity: 3,
        quarantine: 2,
    };
}
