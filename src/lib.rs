#![cfg_attr(docsrs, feature(doc_cfg))]
//! Receive callbacks that must not be lost.

pub mod clock;
mod error;
pub mod event;
mod liveness;
mod panic;
pub mod music_video;
pub mod store;
pub mod verify;
pub mod worker;

pub use self::{
    clock::Clock,
    error::BuildError,
    event::{Callback, Event, EventKey},
    verify::{IpAllowlist, Token, Verify, verify_fn},
};

/// Any error, as tower writes it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
