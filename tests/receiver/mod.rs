//! A receiver in a process of its own, which can be killed, traced and starved.
//!
//! The test's binary starts itself again: [`serve`] is what it does then.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of its own in each test, which uses its own part"
)]

#[path = "../support/ci.rs"]
mod ci;
mod http;
mod journal;
mod phase;
mod place;
mod serve;
mod setup;
mod stores;
pub mod strace;

pub use self::{
    ci::{cannot_run, must_have_all},
    http::{Reply, post, post_at},
    journal::Line,
    phase::{Part, Phase, Teller},
    place::{Place, Receiver, connect, counts, events, integrity, open, wait_for},
    serve::{end_with_parent, serve},
    setup::{Mode, Setup},
};

pub const ENDPOINT: &str = "music-video";
pub const PATH: &str = "/music-video-callback";
pub const SECRET: &str = "a-secret-of-32-characters-or-so";
/// The task whose event ends the process that handles it.
pub const POISON: &str = "poison";
