//! Any request, against the whole front.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::request(input));
