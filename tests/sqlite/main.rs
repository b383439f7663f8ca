//! What the SQLite store promises beyond the contract of every store.

mod cancelled;
mod complete;
mod faults;
mod file;
mod support;
