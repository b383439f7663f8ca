//! What a user's own tests need (feature `testing`): a store that records, the suite that decides
//! whether something is a store, laws to fuzz an event by, callbacks made by hand, and the
//! provider, simulated over real sockets.

#[cfg(feature = "testing")]
mod callback;
#[cfg(test)]
pub(crate) mod capture;
pub mod conformance;
#[cfg(test)]
pub(crate) mod dropped;
#[cfg(test)]
pub(crate) mod edges;
mod fuzz;
#[cfg(feature = "client")]
mod fuzz_client;
#[cfg(feature = "download")]
mod fuzz_download;
#[cfg(feature = "testing")]
mod harness;
#[cfg(feature = "testing")]
pub mod provider;
mod recording;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use self::fuzz_client::{fuzz_details, fuzz_generated};
#[cfg(feature = "download")]
#[cfg_attr(docsrs, doc(cfg(feature = "download")))]
pub use self::fuzz_download::{fuzz_content_range, fuzz_mp4_head};
#[cfg(feature = "testing")]
#[doc(inline)]
pub use self::{
    callback::{CallbackBuilder, callback, callback_of},
    harness::Harness,
    provider::{Caller, Signer, SimulatedProvider},
};
pub use self::{
    fuzz::fuzz_event,
    recording::{Fault, Recording},
};
