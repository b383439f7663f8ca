//! Any body, read as any callback of the provider.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| tower_callback_fuzz::any_callback(body));
