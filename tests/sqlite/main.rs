//! What the SQLite store promises beyond the contract of every store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cancelled;
mod complete;
mod faults;
mod file;
mod migration;
mod support;
