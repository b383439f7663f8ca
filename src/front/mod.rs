//! The front: from a request's head to the answer, in milliseconds.
//!
//! [`CallbackService`] is the leaf that a router leads to; [`CallbackLayer`] wraps a finished app.
//! Both do the same with a request, one step after the other: proof by head, bounded body, proof by
//! body, parse, insert, reply. The steps stand in `receive`, the replies in [`Disposition`].

mod body;
mod content;
mod count;
mod disposition;
mod endpoint;
mod future;
mod intercept;
mod layer;
mod log;
mod outcome;
mod path;
mod quarantine;
mod read;
mod receive;
mod reply;
mod service;
mod settings;
mod sink;
mod span;
mod test_callback;
mod trace;

pub use self::{
    disposition::Disposition,
    future::CallbackFuture,
    intercept::{Intercept, InterceptBody, InterceptFuture},
    layer::CallbackLayer,
    reply::ReplyBody,
    service::{CallbackService, NotReady},
    test_callback::TEST_CALLBACK,
};
pub(crate) use self::{
    endpoint::Endpoint,
    read::{Unreadable, read, read_key},
    settings::FrontSettings,
    sink::{Accepting, Sink},
};
