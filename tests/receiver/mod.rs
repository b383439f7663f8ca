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

mod http;
mod journal;
mod phase;
mod place;
mod serve;
mod setup;
mod stores;
pub mod strace;

pub use self::{
    http::{Reply, post},
    journal::Line,
    phase::{Part, Phase},
    place::{Place, Receiver, connect, counts, events, integrity, open, wait_for},
    serve::serve,
    setup::{Mode, Setup},
};

pub const ENDPOINT: &str = "music-video";
pub const PATH: &str = "/music-video-callback";
pub const SECRET: &str = "a-secret-of-32-characters-or-so";

/// Whether what is missing here must be there: a run that is to prove something must not skip.
pub fn must_have_all() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
}

/// Why a test cannot run here: ignored on somebody's machine, failed where everything must be there.
pub fn cannot_run(reason: String) -> Result<libtest_mimic::Completion, libtest_mimic::Failed> {
    if must_have_all() {
        return Err(reason.into());
    }
    Ok(libtest_mimic::Completion::ignored_with(reason))
}
