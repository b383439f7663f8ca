//! The first bytes of a file.

/// Holds the laws of what tells a video from something else against the bytes of a file.
///
/// # Panics
///
/// When a law is broken.
pub fn mp4_head(file: &[u8]) {
    tower_callback::testing::fuzz_mp4_head(file);
}
