//! HTTPS without a proxy in front: an axum app that receives callbacks, on rustls, with a certificate from
//! files that is read again when they change. So a renewal, by certbot or an orchestrator, needs no restart.

mod certificate;
mod serve;

pub use self::{certificate::Certificate, serve::serve};
