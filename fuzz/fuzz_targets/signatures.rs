//! Any signature, and any change of a good one.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::signatures(input));
