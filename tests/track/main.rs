//! Promises of submission, polling and confirmation, against a provider that does what it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "what the tests share")]

mod bench;
mod build;
#[path = "../../src/testing/capture.rs"]
mod capture;
mod concurrent;
mod confirm;
mod crash;
mod poll;
mod provider;
#[cfg(feature = "sqlite")]
mod restart;
mod store_faults;
mod submit;
mod traces;
mod unknown;
mod wait;
mod warning;
