//! The provider's answers to us.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::details_response(input));
