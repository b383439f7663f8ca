//! The laws that the fuzz targets hold against their inputs, as functions, so that a test on a
//! stable toolchain can replay inputs without a fuzzer.

mod event_parse;
mod forwarded;
mod request;

pub use self::{event_parse::event_parse, forwarded::forwarded, request::request};
