//! The laws that the fuzz targets hold against their inputs, as functions, so that a test on a
//! stable toolchain can replay inputs without a fuzzer.

mod any_callback;
mod event_parse;
mod forwarded;
mod request;

pub use self::{
    any_callback::any_callback, event_parse::event_parse, forwarded::forwarded, request::request,
};
