//! Any header that names the caller, behind trusted proxies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tower_callback_fuzz::forwarded(input));
