//! The laws that the fuzz targets hold against their inputs, as functions, so that a test on a
//! stable toolchain can replay inputs without a fuzzer.

mod any_callback;
mod change;
mod event_parse;
mod forwarded;
mod request;
mod signatures;
mod signed_url;

pub use self::{
    any_callback::any_callback, event_parse::event_parse, forwarded::forwarded, request::request,
    signatures::signatures, signed_url::signed_url,
};
