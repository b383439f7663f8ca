//! The laws that the fuzz targets hold against their inputs, as functions, so that a test on a
//! stable toolchain can replay inputs without a fuzzer.

mod any_callback;
mod change;
mod content_range;
mod details_response;
mod event_parse;
mod forwarded;
mod json;
mod mp4_head;
mod request;
mod signatures;
mod signed_url;
mod store_model;

pub use self::{
    any_callback::any_callback, content_range::content_range, details_response::details_response,
    event_parse::event_parse, forwarded::forwarded, mp4_head::mp4_head, request::request,
    signatures::signatures, signed_url::signed_url, store_model::store_model,
};
