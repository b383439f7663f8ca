#![cfg_attr(docsrs, feature(doc_cfg))]
//! Receive callbacks that must not be lost.

pub mod clock;
mod error;
pub mod event;
pub mod store;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
pub mod verify;

pub use self::{
    clock::Clock,
    error::BuildError,
    event::{Callback, Event, EventKey},
    verify::{IpAllowlist, Token, Verify, verify_fn},
};

/// Any error, as tower writes it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
