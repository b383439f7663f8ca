//! Any capability, and any change of one of ours.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::signed_url(input));
