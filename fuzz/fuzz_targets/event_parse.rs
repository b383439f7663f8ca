//! Any body, read as a music video callback.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| tower_callback_fuzz::event_parse(body));
