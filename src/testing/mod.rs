//! What a user's own tests need (feature `testing`): callbacks to drive an endpoint with, and a
//! provider that calls over real sockets.

mod callback;
pub mod provider;

#[doc(inline)]
pub use self::{
    callback::{CallbackBuilder, callback},
    provider::Provider,
};
