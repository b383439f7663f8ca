//! Any sequence of calls, on two stores and a model of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::store_model(input));
