//! What a user's own tests need (feature `testing`): a store that records, the suite that decides
//! whether something is a store, and laws to fuzz an event by.

pub mod conformance;
mod fuzz;
mod recording;

pub use self::{
    fuzz::fuzz_event,
    recording::{Fault, Recording},
};
