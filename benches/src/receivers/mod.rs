//! Those who receive: ours, and beside it others that do the same work.

pub(crate) mod axum;
pub(crate) mod bare;
pub(crate) mod hand_written;
pub(crate) mod ours;

/// What all of them answer.
pub(crate) const RECEIVED: &[u8] = br#"{"status":"received"}"#;
