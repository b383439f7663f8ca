//! What a server says of the part of a file that it sends.

/// Holds the laws of a `Content-Range` against its value.
///
/// # Panics
///
/// When a law is broken.
pub fn content_range(value: &[u8]) {
    tower_callback::testing::fuzz_content_range(value);
}
