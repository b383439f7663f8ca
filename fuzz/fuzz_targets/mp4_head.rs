//! The first bytes of a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::mp4_head(input));
