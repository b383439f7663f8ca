//! What a server says of the part of a file that it sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::content_range(input));
